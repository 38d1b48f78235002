package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// stateVar names the variable that says where the state folder is.
const stateVar = "FENCELINE_STATE"

// stateDir is the state folder where no flag names one.
func stateDir() string {
	if d := os.Getenv(stateVar); d != "" {
		return d
	}
	return ".fenceline"
}

// access says how an operator's command reaches the installation.
type access struct {
	standalone.Client
	credentialsFile, certFile, keyFile string
	state                              string // folder to look in; "" for that of stateDir
	inboxPrefix                        string // of the inboxes that the user may read; "" for that of init's users
	stateFolder                        bool   // that is where the address is from
}

// fields are what can be given, by flag.
func (a *access) fields() []struct {
	flag, usage string
	value       *string
} {
	return []struct {
		flag, usage string
		value       *string
	}{
		{"nats", "NATS server, nats://HOST:PORT (several, comma-separated, for a cluster)", &a.NATS},
		{"user", "NATS user", &a.User},
		{"password-file", "file with the NATS user's password", &a.PasswordFile},
		{"credentials-file", "NATS .creds file, instead of user and password", &a.credentialsFile},
		{"ca-file", "certificate authority of the NATS server, in place of the system's", &a.CAFile},
		{"cert-file", "certificate that the NATS server asks of its clients", &a.certFile},
		{"key-file", "private key of that certificate", &a.keyFile},
		{"prefix", "prefix of the installation's subjects, streams and buckets", &a.Prefix},
		{"producer", "the producer, http://HOST:PORT", &a.Producer},
		{"token-file", "file with the token for the producer's calls", &a.TokenFile},
	}
}

func (a *access) flags(fs *pflag.FlagSet) {
	for _, f := range a.fields() {
		usage := f.usage + " [$" + variable(f.flag) + "]"
		if strings.HasSuffix(f.flag, "-file") {
			fileVar(fs, f.value, f.flag, "", usage)
		} else {
			fs.StringVar(f.value, f.flag, "", usage)
		}
	}
}

// folder is the state folder where the installation is looked for.
func (a *access) folder() string {
	if a.state != "" {
		return a.state
	}
	return stateDir()
}

// resolve fills in from the state folder what neither flag nor variable gave.
func (a *access) resolve() error {
	if a.NATS != "" {
		return nil // an installation of its own: nothing of the state folder belongs to it
	}
	found, err := standalone.ReadClient(a.folder())
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no fenceline is known here: there is no %s/client.json. Run 'fenceline up' in this folder, point $%s to its state folder, or give --nats", a.folder(), stateVar)
	}
	if err != nil {
		return err
	}
	a.Registry, a.Buildkit, a.stateFolder = found.Registry, found.Buildkit, true
	known := access{Client: found}
	from := known.fields()
	for i, f := range a.fields() {
		if *f.value == "" {
			*f.value = *from[i].value
		}
	}
	return nil
}

// dial connects as the operator.
func (a *access) dial(ctx context.Context) (*queue.Client, error) {
	space, err := messages.NewSpace(a.Prefix)
	if err != nil {
		return nil, usageError{err}
	}
	var password messages.Secret
	if a.PasswordFile != "" {
		if password, err = readPassword(a.PasswordFile); err != nil {
			return nil, err
		}
	}
	q, err := queue.Connect(ctx, queue.Options{
		URL: a.NATS, Name: "fenceline " + whoami(), User: a.User, Password: password,
		CredentialsFile: a.credentialsFile, CAFile: a.CAFile, CertFile: a.certFile, KeyFile: a.keyFile, InboxPrefix: cmp.Or(a.inboxPrefix, inboxOf(a.User)),
		Space: space, Source: "/" + space.Prefix() + "/operator/" + whoami(), Logger: zerolog.Nop(),
	})
	if a.stateFolder && errors.Is(err, queue.ErrUnavailable) {
		err = fmt.Errorf("%w: 'fenceline up' with the state folder %s was there: start it again, or give --nats", err, a.folder())
	}
	return q, err
}

// readSecret reads a secret from its file; white space at its ends is not part of it.
func readSecret(path string) (messages.Secret, error) {
	s, err := messages.ReadSecret(path)
	return s.Trimmed(), err
}

// readPassword reads the file of --password-file.
func readPassword(path string) (messages.Secret, error) {
	s, err := readSecret(path)
	var at *os.PathError
	switch {
	case errors.As(err, &at):
		err = fmt.Errorf("--password-file %s: %w: check the path and that this user may read it", path, at.Err)
	case err != nil:
		err = fmt.Errorf("--password-file: %w", err)
	}
	return s, err
}

// whoami names the person for the record: who decided something.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}

// operator makes cmd one that runs with a connection: do gets it, and where to print to. Only
// how it connects and prints can be given as a variable: what it does is on its line.
func operator(cmd *cobra.Command, do func(ctx context.Context, s *session, args []string) error) *cobra.Command {
	var a access
	var f format
	a.flags(cmd.Flags())
	f.flag(cmd.Flags())
	named := []string{"output"}
	for _, known := range a.fields() {
		named = append(named, known.flag)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := fromEnvironment(cmd, named...); err != nil {
			return err
		}
		if err := a.resolve(); err != nil {
			return err
		}
		c, err := a.dial(cmd.Context())
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd.Context(), &session{access: &a, queue: c, out: cmd.OutOrStdout(), format: f}, args)
	}
	return cmd
}

// oneFleet is the fleet that a command is about: the named one, or the only one there is.
func (s *session) oneFleet(ctx context.Context, args []string) (string, error) {
	if len(args) > 0 {
		if err := messages.CheckName("fleet", args[0]); err != nil {
			return "", usageError{err}
		}
	}
	names, err := s.fleetNames(ctx)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", errors.New("there is no fleet yet: it begins with a node's first heartbeat ('fenceline nodes') and its first rollout")
	case len(args) > 0 && !slices.Contains(names, args[0]):
		return "", fmt.Errorf("there is no fleet %q: name one of %s", args[0], strings.Join(names, ", "))
	case len(args) > 0:
		return args[0], nil
	case len(names) > 1:
		return "", usagef("there are several fleets: name one of %s", strings.Join(names, ", "))
	}
	return names[0], nil
}

// fleetNames lists the fleets that have a record or a member, sorted.
func (s *session) fleetNames(ctx context.Context) ([]string, error) {
	fleets, err := store.Fleets(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	members, err := store.Members(s.queue).List(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, f := range fleets {
		if f.Value.Fleet != "" {
			seen[f.Value.Fleet] = true
		}
	}
	for _, m := range members {
		seen[m.Value.Fleet] = true
	}
	return sorted(seen), nil
}
