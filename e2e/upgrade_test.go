package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// upgrade is an installation in the middle of an upgrade: roles of this program and of the next
// release run side by side.
type upgrade struct {
	*apart
	newer string // the program of the next release
	bk    string // address of the buildkitd
	fleet string
	next  string // address of the newer producer; the older one's is http

	mu       sync.Mutex
	accepted map[string]string // build to the address of the producer that accepted it
}

func newUpgrade(t *testing.T) *upgrade {
	t.Helper()
	fleet := fleetOf("upgrade") // of two nodes, of which one counts: they have one engine
	server := queuetest.Start(t)
	u := &upgrade{
		fleet: fleet, newer: buildNextRelease(t), accepted: map[string]string{},
		apart: apartServers(t, server.URL(), []pipeline{{name: "rolling", fleet: fleet, policy: "quorum: 50%, trial: {disabled: true}"}, {name: "waiting"}}),
	}
	u.server, u.bk = server, u.startBuildkitd(t)
	var err error
	if u.next, err = site.Address("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"producer-old", "controller-old", "node-1-old", "node-2-old", "builder-old"} {
		u.begin(t, name)
	}
	if err := u.watch.start(u.Fenceline); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.watch.stop)
	return u
}

// begin starts a role, of the newer program where its name ends so, and waits until it is ready.
func (u *upgrade) begin(t *testing.T, name string) {
	t.Helper()
	kind, program, address := name[:strings.IndexByte(name, '-')], u.Program, u.http
	if strings.HasSuffix(name, "-new") {
		program, address = u.newer, u.next
	}
	args := map[string][]string{
		"producer":   {"--config", u.config(), "--listen", address},
		"controller": {"--name", name, "--lease-ttl", "2s"},
		"builder":    {"--name", name, "--ack-wait", "10s", "--buildkit", u.bk},
		"node":       {"--fleet", u.fleet, "--node", u.fleet + name[4:6]},
	}[kind]
	if kind == "node" {
		kind = "distributor"
	}
	u.roles[name] = u.runProgram(t, program, kind, args...)
	u.roles[name].awaitReady(t)
}

// end asks a role to end, and waits until it has.
func (u *upgrade) end(t *testing.T, name string) {
	t.Helper()
	if err := u.roles[name].Stop(grace); err != nil {
		t.Error(err)
	}
}

// replace starts the other program's role of a node, which only one of them can be.
func (u *upgrade) replace(t *testing.T, was, is string) {
	t.Helper()
	u.end(t, was)
	u.begin(t, is)
}

// tell tells the producer at an address of a push, and returns the build.
func (u *upgrade) tell(ctx context.Context, address, pipeline, commit string) (string, error) {
	got, err := sendTo(ctx, address, u.pushHook(u.git.URL+"/"+pipeline+".git", "refs/heads/main", commit))
	if err != nil {
		return "", err
	}
	if got.status != http.StatusAccepted || len(got.Builds) != 1 {
		return "", fmt.Errorf("a push is answered with %+v", got)
	}
	b := got.Builds[0]
	u.mu.Lock()
	defer u.mu.Unlock()
	if !b.Duplicate {
		u.accepted[b.Build] = address
	}
	return b.Build, nil
}

// pushed commits to a pipeline's repository, and tells a producer.
func (u *upgrade) pushed(t *testing.T, address, pipeline, text string) string {
	t.Helper()
	build, err := u.tell(t.Context(), address, pipeline, u.commit(t, pipeline, exporting(text)))
	if err != nil {
		t.Fatal(err)
	}
	return build
}

// becomes pushes, and waits until the fleet has what was built on a builder.
func (u *upgrade) becomes(t *testing.T, address, text, builder string) {
	t.Helper()
	id := u.pushed(t, address, "rolling", text)
	u.watch.await(t, id, "flipped")
	if b := u.ended(t, id); b.Worker != builder || b.Image != u.fence(t) {
		t.Fatalf("build %+v was to be built on %s and flipped to", b, builder)
	}
}

// TestRollingUpgrade replaces every role by one of the next release, which has newer messages,
// in the order that docs/operations.md gives, while pushes go on; then it goes back half of the
// way, and forward again. Nothing is lost, and nothing done twice.
func TestRollingUpgrade(t *testing.T) {
	u := newUpgrade(t)
	u.becomes(t, u.http, "before", "builder-old")

	stop := u.keepPushing(t)
	u.begin(t, "controller-new")
	u.replace(t, "node-2-old", "node-2-new")
	u.begin(t, "builder-new")
	u.begin(t, "producer-new")
	u.moves(t, 2) // side by side
	u.end(t, "controller-old")
	u.replace(t, "node-1-old", "node-1-new")
	u.end(t, "builder-old")
	u.moves(t, 1)
	stop()
	u.becomes(t, u.http, "an old request on a new builder", "builder-new")
	u.end(t, "producer-old")
	u.becomes(t, u.next, "all are new", "builder-new")

	u.goBack(t)
	u.ends(t)
}

// moves waits until the fleet has gone on to so many newer images.
func (u *upgrade) moves(t *testing.T, n int) {
	t.Helper()
	begun := u.watch.count("flipped")
	await(t, fmt.Sprintf("%d flips", n), func(context.Context) error {
		if now := u.watch.count("flipped"); now < begun+n {
			return fmt.Errorf("there were %d", now-begun)
		}
		return nil
	})
}

// goBack goes back to the older program where a newer message waits: it is left alone, and told
// of, until a newer program takes it.
func (u *upgrade) goBack(t *testing.T) {
	t.Helper()
	u.begin(t, "builder-old")
	u.begin(t, "controller-old")
	u.begin(t, "producer-old")
	u.end(t, "builder-new")
	request := u.pushed(t, u.next, "waiting", "for a newer builder")
	u.end(t, "producer-new")
	u.becomes(t, u.http, "gone back", "builder-old")
	u.awaitStatus(t, "1 message", "dev.fenceline.build.requested.v2", "start a builder of that version")
	u.awaitStatus(t, request, "queued", "waits for a builder of a newer version")
	if again := u.pushed(t, u.http, "waiting", "for a newer builder"); again == request {
		t.Errorf("another commit is taken for build %s", request)
	}

	u.end(t, "controller-new")
	u.begin(t, "builder-new")
	u.begin(t, "producer-new")
	if b := u.ended(t, request); b.State != "superseded" || b.Worker != "builder-new" {
		t.Errorf("the request that waited ended as %+v", b)
	}
	u.end(t, "builder-old")
	b := u.ended(t, u.pushed(t, u.next, "rolling", "for a newer controller"))
	u.awaitStatus(t, "1 message", "dev.fenceline.image.ready.v2", "start a controller of that version")
	u.begin(t, "controller-new")
	u.watch.await(t, b.Build, "flipped")
	u.awaitStatus(t, "1 message")
}
