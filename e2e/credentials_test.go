package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// guarded is a NATS server with the users that `fenceline init` makes.
type guarded struct {
	*stack
	server      *queuetest.Server
	credentials string // folder
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{stack: fresh(t), credentials: filepath.Join(t.TempDir(), "credentials")}
	if out, err := g.Run(t.Context(), "init", "--dir", g.credentials, "--node", "production.node-1", "--node", "production.node-2"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	users, err := server.ProcessConfigFile(filepath.Join(g.credentials, "nats-users.conf"))
	if err != nil {
		t.Fatal(err)
	}
	g.server = queuetest.Start(t, func(o *server.Options) { o.Users, o.Accounts = users.Users, users.Accounts })
	return g
}

// run is the command line of a role as a user, whose password is in a file.
func (g *guarded) line(role, user, password string) []string {
	more := map[string][]string{
		"producer":    {"--config", g.config(), "--listen", g.http},
		"controller":  {"--name", "c1"},
		"builder":     {"--name", "b1", "--buildkit", "unix:///nowhere/buildkitd.sock"},
		"distributor": {"--fleet", "production", "--node", "node-1"},
	}
	args := []string{"run", role, "--nats", g.server.URL()}
	if user != "" {
		args = append(args, "--user", user, "--password-file", password)
	}
	return append(args, more[role]...)
}

func (g *guarded) password(user string) string { return filepath.Join(g.credentials, user) }

// TestCredentials starts each role with what a NATS server does not take: it ends at once, and
// names the user, the server and what to do.
func TestCredentials(t *testing.T) {
	g := newGuarded(t)
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("not the password\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own := map[string]string{"producer": "producer", "controller": "controller", "builder": "builder", "distributor": "production.node-1"}
	for role, user := range own {
		meant := fmt.Sprintf("a %s is to run as the user %q", role, user)
		tests := []struct {
			name, user, password string
			says                 []string
		}{
			{"a wrong password", user, wrong, []string{fmt.Sprintf("check the user %q and its password", user), "(--user, --password-file)", meant}},
			{"an unknown user", "nobody", wrong, []string{`check the user "nobody"`, meant}},
			{"no user", "", "", []string{"the server wants a user", "(--user, --password-file, --credentials-file)", meant}},
			{"no password file", user, wrong + ".none", []string{"--password-file " + wrong + ".none", "no such file", "check the path"}},
		}
		for _, other := range []string{"producer", "controller", "builder", "production.node-1", "production.node-2", "operator"} {
			if other != user {
				tests = append(tests, struct {
					name, user, password string
					says                 []string
				}{"the credential of " + other, other, g.password(other), []string{fmt.Sprintf("the user %q may not read its answers", other), meant}})
			}
		}
		for _, test := range tests {
			t.Run(role+" with "+test.name, func(t *testing.T) {
				t.Parallel()
				said := refuses(t, site.Program{Path: program(), Args: g.line(role, test.user, test.password), Dir: g.dir})
				says(t, said, test.says...)
				if !strings.HasPrefix(test.name, "no password") {
					says(t, said, g.server.URL())
				}
				if strings.Contains(said, "trying again") {
					t.Errorf("it waits for what waiting can't help: %s", said)
				}
				if strings.Contains(said, "not the password") {
					t.Errorf("it tells the password: %s", said)
				}
			})
		}
	}
}

// TestNATSThatWillNotDo starts roles over servers that are there and can't hold the streams.
func TestNATSThatWillNotDo(t *testing.T) {
	s := fresh(t)
	for name, test := range map[string]struct {
		change func(*server.Options)
		flags  []string
		waits  bool
		says   []string
	}{
		"without JetStream":    {func(o *server.Options) { o.JetStream = false }, nil, true, []string{"trying again", "JetStream is off", "add a jetstream block"}},
		"with too little room": {func(o *server.Options) { o.JetStreamMaxStore = 1 << 30 }, nil, false, []string{"may take 3328 MiB", "max_file_store", "4437 MiB"}},
		"alone, for 3 copies":  {func(*server.Options) {}, []string{"--replicas", "3"}, false, []string{"in no cluster", "--replicas"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // one waits a while
			args := append([]string{"run", "controller", "--nats", queuetest.Start(t, test.change).URL()}, test.flags...)
			said := refuses(t, site.Program{Path: program(), Args: args, Dir: s.dir})
			says(t, said, test.says...)
			if strings.Contains(said, "trying again") != test.waits {
				t.Errorf("waiting helps is %v, and it says %s", test.waits, said)
			}
		})
	}
}
