package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newInitCmd() *cobra.Command {
	var n natsFlags
	var l layoutFlags
	var w initFiles
	cmd := &cobra.Command{
		Use: "init", Short: "Write the first credentials, and declare streams and buckets",
		Long: `Prepares an outside NATS for fenceline, in two steps. Without --nats it writes, into the
folder DIR, a password file for each user and nats-users.conf, which a NATS server's
configuration includes: each user may do what its role needs and nothing else, and of its
password the server is told a bcrypt hash. For each --tls NAME it writes there tls/NAME.pem and its
key, signed by an authority of the installation's own (tls/ca.pem), and for --registry the
registry's htpasswd and the logins of builders and nodes. What exists is kept. With --nats
it declares the streams and buckets there, which it may do again at any time: what exists
is never changed.` + envNote("password-file"),
		Example: `  fenceline init --dir /etc/fenceline --node production.node-1 --node production.node-2
  fenceline init --dir /etc/fenceline --tls nats=core,10.0.0.5 --registry registry.example.com:5000
  fenceline init --nats nats://core:4222 --user controller --password-file /etc/fenceline/controller`,
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := map[string]bool{}
			cmd.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = true })
			if err := fromEnvironment(cmd); err != nil {
				return err
			}
			write, err := oneStep(given, w.dir, n.url)
			if err != nil {
				return err
			}
			if write {
				w.prefix = n.prefix
				return w.write(cmd.OutOrStdout())
			}
			return declare(cmd.Context(), cmd, &n, *l.layout())
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&n.url, "nats", "", "NATS server to declare streams and buckets on, nats://HOST:PORT")
	fs.StringVar(&n.user, "user", "", "NATS user, the controller's or producer's")
	fileVar(fs, &n.passwordFile, "password-file", "", "file with the NATS user's password")
	fileVar(fs, &n.credentialsFile, "credentials-file", "", "NATS .creds file, instead of user and password")
	fileVar(fs, &n.caFile, "ca-file", "", "certificate authority of the NATS server, in place of the system's")
	fileVar(fs, &n.certFile, "cert-file", "", "certificate that the NATS server asks of its clients")
	fileVar(fs, &n.keyFile, "key-file", "", "private key of that certificate")
	fs.StringVar(&n.prefix, "prefix", "", "prefix of subjects, streams and buckets (default \""+messages.DefaultPrefix+"\")")
	folderVar(fs, &w.dir, "dir", "", "folder to write credentials into")
	fs.StringSliceVar(&w.nodes, "node", nil, "FLEET.NODE to make a user for; may be given several times")
	fs.StringArrayVar(&w.tls, "tls", nil, "NAME or NAME=HOST,HOST of a server to make a certificate for; may be given several times")
	fs.StringVar(&w.registry, "registry", "", "HOST:PORT of a registry to write logins for, named as images name it")
	l.add(cmd)
	return cmd
}

// oneStep tells which step is asked for, to write credentials or to declare. A written flag wins
// over a variable, as a terminal may have an installation's; written flags of the other step,
// which would do nothing, are refused.
func oneStep(given map[string]bool, dir, nats string) (write bool, err error) {
	write = given["dir"] || dir != "" && !given["nats"]
	if (dir == "") == (nats == "") && given["dir"] == given["nats"] {
		return false, usagef("give either --dir, to write credentials, or --nats, to declare streams and buckets")
	}
	step, others := "--nats", []string{"node", "tls", "registry"}
	if write {
		step, others = "--dir", []string{"user", "password-file", "credentials-file", "ca-file", "cert-file", "key-file", "replicas", "node-ttl"}
	}
	for _, name := range others {
		if given[name] {
			return false, usagef("--%s does nothing with %s: leave it out, or run init once for each step", name, step)
		}
	}
	return write, nil
}

func declare(ctx context.Context, cmd *cobra.Command, n *natsFlags, l store.Layout) error {
	user := n.user
	if user == "" {
		user = userController
	}
	q, err := n.connect(ctx, "init", hostLabel(), inbox(user), newLogger(cmd.ErrOrStderr(), false))
	if err != nil {
		return err
	}
	defer q.Close()
	if err := store.Declare(ctx, q, l); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "streams and buckets of %s are declared on %s\n", q.Space().Prefix(), diagnosis.Redact(n.url))
	return nil
}

// natsUser is a user that credentials are written for.
type natsUser struct {
	name string
	may  store.Permissions
}

// usersFile is the part of a NATS server's configuration that init writes.
const usersFile = "nats-users.conf"

// initFiles are the files that init writes.
type initFiles struct {
	dir, prefix string
	nodes       []string // FLEET.NODE
	tls         []string // servers, as parseServer reads them
	registry    string   // HOST:PORT; none when empty
}

func (w *initFiles) write(out io.Writer) error {
	servers := make([]tlsServer, len(w.tls))
	for i, text := range w.tls {
		var err error
		if servers[i], err = parseServer(text); err != nil {
			return err
		}
	}
	if err := writeCredentials(out, w.dir, w.prefix, w.nodes); err != nil {
		return err
	}
	if err := writeCertificates(out, filepath.Join(w.dir, "tls"), servers); err != nil {
		return err
	}
	if w.registry == "" {
		return nil
	}
	dir := filepath.Join(w.dir, "registry")
	if err := writeRegistryLogins(dir, w.registry); err != nil {
		return err
	}
	fmt.Fprintf(out, "wrote %s and the logins of its users %s\n", filepath.Join(dir, "htpasswd"), strings.Join(registryUsers, " and "))
	return nil
}

// writeCertificates makes those that are missing, and renews those that end soon.
func writeCertificates(out io.Writer, dir string, servers []tlsServer) error {
	if len(servers) == 0 {
		return nil
	}
	a, err := openAuthority(dir)
	if err != nil {
		return err
	}
	for _, s := range servers {
		made, err := a.issue(s)
		if err != nil {
			return err
		}
		if made {
			fmt.Fprintf(out, "wrote %s and its key, for %s\n", a.file(s.name), strings.Join(s.hosts, ", "))
		}
	}
	return nil
}

func writeCredentials(out io.Writer, dir, prefix string, nodes []string) error {
	space, err := messages.NewSpace(prefix)
	if err != nil {
		return usageError{err}
	}
	users := []natsUser{
		{userOperator, store.OperatorPermissions(space, "_INBOX")},
		{userProducer, store.ProducerPermissions(space, inbox(userProducer))},
		{userBuilder, store.BuilderPermissions(space, inbox(userBuilder))},
		{userController, store.ControllerPermissions(space, inbox(userController))},
	}
	for _, key := range nodes {
		if _, _, err := messages.ParseNodeKey(key); err != nil {
			return usageError{fmt.Errorf("--node: %w", err)}
		}
	}
	known, err := knownNodes(dir)
	if err != nil {
		return err
	}
	nodes = append(nodes, known...)
	slices.Sort(nodes)
	for _, key := range slices.Compact(nodes) {
		fleet, node, err := messages.ParseNodeKey(key)
		if err != nil {
			return fmt.Errorf("user %q in %s: %w", key, filepath.Join(dir, usersFile), err)
		}
		users = append(users, natsUser{fleet + "." + node, store.NodePermissions(space, fleet, node, nodeInbox(fleet, node))})
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	var conf strings.Builder
	conf.WriteString("# NATS users of fenceline. Include it in the server's configuration:\n#   include " + usersFile + "\nauthorization {\n  users = [\n")
	for _, u := range users {
		password, err := passwordIn(filepath.Join(dir, u.name))
		if err != nil {
			return err
		}
		hash, err := standalone.HashPassword(password)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(dir, u.name), err)
		}
		fmt.Fprintf(&conf, "    {user: %q, password: %q, permissions: {publish: {allow: %s}, subscribe: {allow: %s}}}\n",
			u.name, hash, list(u.may.Publish), list(u.may.Subscribe))
	}
	conf.WriteString("  ]\n}\n")
	path := filepath.Join(dir, usersFile)
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		return fmt.Errorf("writing credentials: %w", err)
	}
	fmt.Fprintf(out, "wrote %s and a password file for each of its %d users\n", path, len(users))
	return nil
}

// nodeUser is a node's line of the file that writeCredentials writes.
var nodeUser = regexp.MustCompile(`(?m)^ *\{user: "([^".]+\.[^"]+)"`)

// knownNodes lists the nodes that earlier runs wrote into the users' file: a server that reads
// it again must not lock them out. One whose password file was removed is meant to go.
func knownNodes(dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, usersFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the users that there are: %w", err)
	}
	var out []string
	for _, found := range nodeUser.FindAllSubmatch(b, -1) {
		key := string(found[1])
		switch _, err := os.Stat(filepath.Join(dir, filepath.Base(key))); {
		case err == nil:
			out = append(out, key)
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("looking for the password of %s: %w", key, err)
		}
	}
	return out, nil
}

func list(subjects []string) string {
	quoted := make([]string, len(subjects))
	for i, s := range subjects {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// passwordIn reads the password in a file, or makes one where there is no file.
func passwordIn(path string) (messages.Secret, error) {
	found, err := readSecret(path)
	if !errors.Is(err, os.ErrNotExist) {
		return found, err
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	value := base64.RawURLEncoding.EncodeToString(b[:])
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		return messages.Secret{}, fmt.Errorf("writing credentials: %w", err)
	}
	return messages.NewSecret(value), nil
}
