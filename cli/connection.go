package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
	"github.com/spf13/pflag"
)

// Caller is who speaks over a connection to NATS.
type Caller struct {
	Role  string // or "operator", for people
	Name  string // of the worker, node or person
	Inbox string // prefix of its inboxes, where the settings name none

	Observer queue.Observer // is told of its requests; nil for nobody
}

// Connect connects to NATS as the settings say.
func Connect(ctx context.Context, n *settings.NATS, who Caller, log zerolog.Logger) (*queue.Client, error) {
	space, err := messages.NewSpace(n.Prefix)
	if err != nil {
		return nil, settings.Usage(err)
	}
	password, err := settings.ReadPassword(n.PasswordFile)
	if err != nil {
		return nil, err
	}
	return queue.Connect(ctx, queue.Options{
		URL: n.URL, Name: "fenceline " + who.Role + " " + who.Name, User: n.User, Password: password,
		CredentialsFile: n.CredentialsFile, CAFile: n.CAFile, CertFile: n.CertFile, KeyFile: n.KeyFile, Space: space, Logger: log, Observer: who.Observer,
		Source: "/" + space.Prefix() + "/" + who.Role + "/" + who.Name, InboxPrefix: cmp.Or(n.InboxPrefix, who.Inbox),
		Asks: who.Role == settings.UserProducer || who.Role == settings.UserBuilder || who.Role == settings.UserStatuses,
	})
}

// access says how an operator's command reaches the installation.
type access struct {
	settings.NATS
	producer, tokenFile string
	producerCAFile      string // "" for the system's authorities alone
	dockerConfig        string // folder of the login for pulls from the registry of `fenceline up`; "" for none
	buildkit            string // address of the buildkitd of `fenceline up`
	state               string // folder to look in; "" for that of settings.StateFolder
	stateFolder         bool   // that is where the address is from
}

// ConnectionFlags are the flags that say how an operator's command reaches the installation. Each
// can be given as a variable.
func ConnectionFlags() []string {
	return []string{
		"nats", "user", "password-file", "credentials-file", "ca-file", "cert-file", "key-file", "prefix", "producer", "producer-ca-file", "token-file",
	}
}

func (a *access) flags(fs *pflag.FlagSet) {
	a.NATS.Add(fs)
	fs.StringVar(&a.Prefix, "prefix", "", "prefix of the installation's subjects, streams and buckets")
	fs.StringVar(&a.producer, "producer", "", "the producer, http://HOST:PORT, https://HOST:PORT or unix:/PATH (several, comma-separated: status asks all, submit the first)")
	settings.FileVar(fs, &a.producerCAFile, "producer-ca-file", "", "certificate authorities of the producer, beside the system's, or its own certificate")
	settings.FileVar(fs, &a.tokenFile, "token-file", "", "file with the token for the producer's calls")
	for _, name := range ConnectionFlags() {
		fs.Lookup(name).Usage += " [$" + settings.Variable(name) + "]"
	}
}

// folder is the state folder where the installation is looked for.
func (a *access) folder() string { return cmp.Or(a.state, settings.StateFolder()) }

// resolve fills in from the state folder what neither flag nor variable gave.
func (a *access) resolve() error {
	if a.URL != "" {
		return nil // an installation of its own: nothing of the state folder belongs to it
	}
	found, err := standalone.ReadClient(a.folder())
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no fenceline is known here: there is no %s/client.json. Run 'fenceline up' in this folder, point $%s to its state folder, or give --nats", a.folder(), settings.StateVariable)
	}
	if err != nil {
		return err
	}
	a.buildkit, a.dockerConfig, a.stateFolder = found.Buildkit, found.DockerConfig, true
	a.URL, a.User, a.PasswordFile = found.NATS, cmp.Or(a.User, found.User), cmp.Or(a.PasswordFile, found.PasswordFile)
	a.CAFile, a.Prefix = cmp.Or(a.CAFile, found.CAFile), cmp.Or(a.Prefix, found.Prefix)
	a.producer, a.tokenFile = cmp.Or(a.producer, found.Producer), cmp.Or(a.tokenFile, found.TokenFile)
	a.producerCAFile = cmp.Or(a.producerCAFile, found.ProducerCertFile)
	return nil
}

// dial connects as the operator.
func (a *access) dial(ctx context.Context) (*queue.Client, error) {
	q, err := Connect(ctx, &a.NATS, Caller{Role: settings.UserOperator, Name: whoami(), Inbox: settings.InboxOf(a.User)}, zerolog.Nop())
	switch short := a.shortage(); {
	case !errors.Is(err, queue.ErrUnavailable):
	case short != nil: // it waits for room, or ended for want of it
		err = fmt.Errorf("%w: %w", err, short)
	case a.stateFolder:
		err = fmt.Errorf("%w: 'fenceline up' with the state folder %s was there: start it again, or give --nats", err, a.folder())
	}
	return q, err
}

// shortage tells what an `up` on this machine doesn't do for want of room on its disk, or nil.
func (a *access) shortage() error {
	if a == nil || !a.stateFolder {
		return nil
	}
	return standalone.Shortage(a.folder())
}

// WhoAmI names the person who runs this program, for records of what they decide.
func WhoAmI() string { return whoami() }

// whoami names the person for the record: who decided something.
func whoami() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "operator"
}
