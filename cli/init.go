package cli

import (
	"cmp"
	"context"

	"github.com/fenceline/fenceline/cli/pki"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newInitCmd() *cobra.Command {
	var n settings.NATS
	var l settings.Layout
	var w pki.Files
	cmd := &cobra.Command{
		Use: "init", Short: "Write the first credentials, and declare streams and buckets",
		Long: `Prepares an outside NATS for fenceline, in two steps. Without --nats it writes, into the
folder DIR, a password file for each user and nats-users.conf, which a NATS server's
configuration includes: each user may do what its role needs and nothing else, and of its
password the server is told a bcrypt hash. For each --tls NAME it writes there tls/NAME.pem and its
key, signed by an authority of the installation's own (tls/ca.pem), and for --registry the
registry's htpasswd and the logins of builders and nodes. What exists is kept. With --nats
it declares the streams and buckets there, which it may do again at any time: what exists
is never changed.` + settings.VariablesNote("password-file"),
		Example: `  fenceline init --dir /etc/fenceline --node production.node-1 --node production.node-2
  fenceline init --dir /etc/fenceline --tls nats=core,10.0.0.5 --registry registry.example.com:5000
  fenceline init --nats nats://core:4222 --user controller --password-file /etc/fenceline/controller`,
		Args: settings.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := map[string]bool{}
			cmd.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = true })
			if err := settings.FromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			write, err := oneStep(given, w.Dir, n.URL)
			if err != nil {
				return err
			}
			if write {
				w.Prefix = n.Prefix
				return w.Write(cmd.OutOrStdout())
			}
			return declare(cmd.Context(), cmd, &n, &l)
		},
	}
	fs := cmd.Flags()
	n.Add(fs)
	fs.Lookup("nats").Usage = "NATS server to declare streams and buckets on, nats://HOST:PORT"
	fs.Lookup("user").Usage = "NATS user, the controller's"
	fs.StringVar(&n.Prefix, "prefix", "", "prefix of subjects, streams and buckets (default \""+messages.DefaultPrefix+"\")")
	settings.FolderVar(fs, &w.Dir, "dir", "", "folder to write credentials into")
	fs.StringSliceVar(&w.Nodes, "node", nil, "FLEET.NODE to make a user for; may be given several times")
	fs.StringArrayVar(&w.TLS, "tls", nil, "NAME or NAME=HOST,HOST of a server to make a certificate for; may be given several times")
	fs.StringVar(&w.Registry, "registry", "", "HOST:PORT of a registry to write logins for, named as images name it")
	l.Add(fs)
	return cmd
}

// oneStep tells which step is asked for, to write credentials or to declare. A written flag wins
// over a variable, as a terminal may have an installation's; written flags of the other step,
// which would do nothing, are refused.
func oneStep(given map[string]bool, dir, nats string) (write bool, err error) {
	write = given["dir"] || dir != "" && !given["nats"]
	if (dir == "") == (nats == "") && given["dir"] == given["nats"] {
		return false, settings.Usagef("give either --dir, to write credentials, or --nats, to declare streams and buckets")
	}
	step, others := "--nats", []string{"node", "tls", "registry"}
	if write {
		step, others = "--dir", []string{"user", "password-file", "credentials-file", "ca-file", "cert-file", "key-file", "replicas", "node-ttl", "ack-wait"}
	}
	for _, name := range others {
		if given[name] {
			return false, settings.Usagef("--%s does nothing with %s: leave it out, or run init once for each step", name, step)
		}
	}
	return write, nil
}

func declare(ctx context.Context, cmd *cobra.Command, n *settings.NATS, l *settings.Layout) error {
	who := Caller{Role: "init", Name: settings.HostLabel(), Inbox: settings.Inbox(cmp.Or(n.User, settings.UserController))}
	log := NewLogger(cmd.ErrOrStderr(), false).With().Str("part", "init").Logger()
	q, err := Connect(ctx, n, who, log)
	if err != nil {
		return err
	}
	defer q.Close()
	if err := store.Declare(ctx, q, store.Layout{Replicas: l.Replicas, NodeTTL: l.NodeTTL, AckWait: l.AckWait}); err != nil {
		return err
	}
	if err := store.CheckTriggers(ctx, q); err != nil { // of a user from before: the rest is declared
		log.Warn().Msg(err.Error())
	}
	return terminal.Line(cmd.OutOrStdout(), "streams and buckets of %s are declared on %s", q.Space().Prefix(), diagnosis.Redact(n.URL))
}
