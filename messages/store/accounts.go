package store

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Account is an account of a NATS server: its users reach nothing of another account but what both
// sides name. JetStream publishes what it answers to the subject that the sender of a request chose,
// without asking what that user may do. For a request from another account the server puts a subject
// of its own in its place, so the answer lands in the sender's account, and nowhere else.
type Account struct {
	Name      string
	JetStream bool     // it holds the installation's streams and buckets
	Users     []User   // who are in it
	Services  []string // subjects that other accounts may send to
	Streams   []string // subjects that other accounts may listen to
	From      string   // the account whose services and streams it imports; "" for none
	Sends     []string // the services of From that it imports
	Hears     []string // the streams of From that it imports
}

// User is a user of NATS.
type User struct {
	Name string
	May  Permissions
}

// Users are the users of an installation, by what they are trusted with.
type Users struct {
	Deciders  []User // operators, controllers and consoles, who may write what is decided
	Producers []User
	Builders  []User
	Statuses  []User // who tell forges
	Nodes     []User // one for each node
}

// Accounts are those of an installation. Deciders are where the streams are. Producers have an account, builders, and
// who tells forges; each node has one of its own, as an answer may be sent on by whatever its account
// imports: into a node's own heartbeat, but never into another's.
func Accounts(s messages.Space, u Users) []Account {
	main := Account{Name: s.Prefix(), JetStream: true, Users: u.Deciders}
	for _, p := range []Permissions{ProducerPermissions(s, ""), BuilderPermissions(s, ""), StatusPermissions(s, ""), NodePermissions(s, "*", "*", "")} {
		main.Services = append(main.Services, p.Publish...)
		main.Streams = append(main.Streams, p.hears(s)...)
	}
	slices.Sort(main.Services)
	main.Services = slices.Compact(main.Services)
	all := []Account{main, importing(s, "producers", u.Producers), importing(s, "builders", u.Builders), importing(s, "statuses", u.Statuses)}
	for _, n := range u.Nodes {
		all = append(all, importing(s, "node_"+strings.ReplaceAll(n.Name, ".", "_"), []User{n}))
	}
	return slices.DeleteFunc(all, func(a Account) bool { return len(a.Users) == 0 })
}

// importing is an account that imports what its users may do, and no more.
func importing(s messages.Space, name string, users []User) Account {
	a := Account{Name: s.Prefix() + "_" + name, Users: users, From: s.Prefix()}
	for _, u := range users {
		a.Sends = append(a.Sends, u.May.Publish...)
		a.Hears = append(a.Hears, u.May.hears(s)...)
	}
	slices.Sort(a.Sends)
	a.Sends = slices.Compact(a.Sends)
	slices.Sort(a.Hears)
	a.Hears = slices.Compact(a.Hears)
	return a
}

// hears are the subjects of the installation that p's user may listen to; inboxes are not.
func (p Permissions) hears(s messages.Space) []string {
	var out []string
	for _, subject := range p.Subscribe {
		if strings.HasPrefix(subject, s.Prefix()+".") {
			out = append(out, subject)
		}
	}
	return out
}

// AccountsConfig is the accounts block of a NATS server's configuration. Hash gives what the server is
// told of a user's password.
func AccountsConfig(accounts []Account, hash func(user string) (string, error)) (string, error) {
	var b strings.Builder
	b.WriteString("accounts {\n")
	for _, a := range accounts {
		fmt.Fprintf(&b, "  %q: {\n", a.Name)
		if a.JetStream {
			b.WriteString("    jetstream: enabled\n")
		}
		b.WriteString("    users = [\n")
		for _, u := range a.Users {
			password, err := hash(u.Name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "    {user: %q, password: %q, permissions: {publish: {allow: %s}, subscribe: {allow: %s}}}\n",
				u.Name, password, list(u.May.Publish), list(u.May.Subscribe))
		}
		b.WriteString("    ]\n")
		a.writeExports(&b)
		a.writeImports(&b)
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String(), nil
}

func (a Account) writeExports(b *strings.Builder) {
	if len(a.Services)+len(a.Streams) == 0 {
		return
	}
	b.WriteString("    exports = [\n")
	for _, subject := range a.Services {
		fmt.Fprintf(b, "      {service: %q, response_type: %s}\n", subject, answers(subject))
	}
	for _, subject := range a.Streams {
		fmt.Fprintf(b, "      {stream: %q}\n", subject)
	}
	b.WriteString("    ]\n")
}

func (a Account) writeImports(b *strings.Builder) {
	if a.From == "" {
		return
	}
	b.WriteString("    imports = [\n")
	for _, subject := range a.Sends {
		fmt.Fprintf(b, "      {service: {account: %q, subject: %q}}\n", a.From, subject)
	}
	for _, subject := range a.Hears {
		fmt.Fprintf(b, "      {stream: {account: %q, subject: %q}}\n", a.From, subject)
	}
	b.WriteString("    ]\n")
}

// answers is how many answers a request on a subject has: a fetch is answered by heartbeats before
// the message, a direct get by as many messages as were asked for.
func answers(subject string) string {
	for _, prefix := range []string{"$JS.API.DIRECT.GET.", "$JS.API.CONSUMER.MSG.NEXT."} {
		if strings.HasPrefix(subject, prefix) {
			return "stream"
		}
	}
	return "singleton"
}

func list(subjects []string) string {
	quoted := make([]string, len(subjects))
	for i, s := range subjects {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
