package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// pusher pushes to one branch again and again, and tells the producer of each push until it is accepted, as a forge does
// that sends again.
type pusher struct {
	name    string
	bare    string   // the repository's folder
	commits []string // to be pushed, one after the other

	mu       sync.Mutex
	accepted map[string]string // commits, by their builds
	head     string            // the last that was pushed
	refused  atomic.Int64
}

// newPusher makes one of a repository that has one commit of files.
func (a *apart) newPusher(t *testing.T, name string, files map[string]string) *pusher {
	t.Helper()
	first := a.commit(t, name, files)
	p := &pusher{name: name, bare: filepath.Join(a.dir, "git", name+".git"), accepted: map[string]string{}}
	var in strings.Builder // commits that differ in their messages alone, on a branch that nobody builds
	for n := range 1000 {
		fmt.Fprintf(&in, "commit refs/heads/later\ncommitter Ann <ann@example.com> %d +0000\ndata <<.\npush %d\n.\n", 1_700_000_000+n, n)
		if n == 0 {
			fmt.Fprintf(&in, "from %s\n", first)
		}
		in.WriteString("\n")
	}
	cmd := exec.CommandContext(t.Context(), "git", "-C", p.bare, "fast-import", "--quiet")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git fast-import: %v: %s", err, out)
	}
	list, err := site.Git(t.Context(), p.bare, "rev-list", "--reverse", first+"..later")
	if err != nil {
		t.Fatal(err)
	}
	p.commits = strings.Fields(list)
	return p
}

// pushPause is between pushes, and between webhooks that are refused: each push that is superseded takes a builder a moment.
const pushPause = 150 * time.Millisecond

// push pushes until ctx ends, and then goes on until the last push is accepted.
func (p *pusher) push(ctx context.Context, t *testing.T, a *apart) {
	pause := time.NewTicker(pushPause)
	defer pause.Stop()
	for _, commit := range p.commits {
		if ctx.Err() != nil {
			return
		}
		if _, err := site.Git(t.Context(), p.bare, "update-ref", "refs/heads/main", commit); err != nil {
			t.Error(err)
			return
		}
		p.head = commit
		for accepted := false; !accepted; <-pause.C {
			var err error
			if accepted, err = p.tell(t.Context(), a, commit); err != nil {
				t.Error(err)
				return
			}
		}
	}
	t.Errorf("%s has no more commits to push", p.name)
}

// tell tells of a push once.
func (p *pusher) tell(ctx context.Context, a *apart, commit string) (accepted bool, err error) {
	got, err := a.send(ctx, a.pushHook(a.git.URL+"/"+p.name+".git", "refs/heads/main", commit))
	switch {
	case err != nil:
		return false, fmt.Errorf("telling of %s: %w", commit, err)
	case got.status == http.StatusServiceUnavailable && strings.Contains(got.Error, "send it again"):
		p.refused.Add(1)
		return false, nil
	case got.status != http.StatusAccepted || len(got.Builds) != 1:
		return false, fmt.Errorf("a push of %s is answered %+v", p.name, got)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted[got.Builds[0].Build] = commit
	return true, nil
}

func (p *pusher) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.accepted)
}

// TestNATSKilledUnderLoad kills NATS under webhooks of several repositories, for longer than every lease, and once more
// for a moment. The numbers are those of what must always be true, in the design: 1, what is answered 202 has its record;
// 2, each ends once; 3, with one image at most; 5, the fleet goes forward alone; 6, no role is started again; 10, the last
// pushed head of each branch is built.
func TestNATSKilledUnderLoad(t *testing.T) {
	nats := queuetest.StartProcess(t)
	names := []string{"loaded-1", "loaded-2", "loaded-3"}
	pipelines := []pipeline{{name: names[0], fleet: fleetOf("apart")}, {name: names[1]}, {name: names[2]}}
	a := apartServers(t, nats.URL(), pipelines)
	var all []*pusher
	for _, name := range names {
		all = append(all, a.newPusher(t, name, exporting(name)))
	}
	a.startRoles(t)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var pushing sync.WaitGroup
	for _, p := range all {
		pushing.Go(func() { p.push(ctx, t, a) })
	}
	for _, least := range []time.Duration{2 * leases, 0} {
		goesOn(t, all, "webhooks are accepted", (*pusher).taken)
		nats.Kill()
		killed := time.Now()
		goesOn(t, all, "webhooks are refused", func(p *pusher) int { return int(p.refused.Load()) })
		for _, r := range a.roles {
			r.awaitNotReady(t, "NATS")
		}
		await(t, "leases to end", func(context.Context) error {
			if away := time.Since(killed); away < least {
				return fmt.Errorf("NATS is away for %v", away)
			}
			return nil
		})
		nats.Start(t)
	}
	goesOn(t, all, "webhooks are accepted in the end", (*pusher).taken)
	stop()
	pushing.Wait()
	a.keptAll(t, all)
}

// leases is more than any lease of newApart's roles lasts.
const leases = 6 * time.Second

// goesOn waits until a count of each pusher is 10 more than it was.
func goesOn(t *testing.T, all []*pusher, what string, count func(*pusher) int) {
	t.Helper()
	for _, p := range all {
		was := count(p)
		await(t, what+" of "+p.name, func(context.Context) error {
			if n := count(p); n < was+10 {
				return fmt.Errorf("%d after %d", n, was)
			}
			return nil
		})
	}
}

// keptAll sees that all is well with what pushers were told.
func (a *apart) keptAll(t *testing.T, all []*pusher) {
	t.Helper()
	for name, r := range a.roles {
		select {
		case <-r.Done():
			t.Fatalf("6: the %s has ended with status %d", name, r.ExitCode())
		default:
			r.awaitReady(t)
		}
	}
	var builds map[string]build
	awaitFor(t, 4*patience, "the end of every build", func(ctx context.Context) error {
		var list []build
		err := a.JSON(ctx, &list, "builds", "--limit", "100000")
		builds = map[string]build{}
		var open []build
		for _, b := range list {
			if builds[b.Build] = b; !b.ended() {
				open = append(open, b)
			}
		}
		if len(open) > 0 {
			err = errors.Join(err, fmt.Errorf("%d of %d have not ended, such as %+v", len(open), len(list), open[0]))
		}
		return err
	})
	ends, images := map[string]int{}, map[string]int{}
	for _, kind := range []string{"build.failed", "build.superseded", "build.cancelled", "image.ready"} {
		a.eachEvent(t, "fenceline."+kind+".*.>", func(subject string, _ []byte) {
			id := subject[strings.LastIndexByte(subject, '.')+1:]
			if ends[id]++; kind == "image.ready" {
				images[id]++
			}
		})
	}
	for _, p := range all {
		for id, commit := range p.accepted {
			b, there := builds[id]
			switch {
			case !there || b.Commit != commit:
				t.Errorf("1: build %s of %s was answered 202, and is %+v", id, commit, b)
			case b.State != "succeeded" && b.State != "superseded" || ends[id] != 1:
				t.Errorf("2: %+v has %d ends", b, ends[id])
			case images[id] > 1 || (images[id] == 1) != (b.State == "succeeded"):
				t.Errorf("3: %+v has %d images", b, images[id])
			}
		}
		if last := builds[a.last(t, p.name, "refs/heads/main")]; last.State != "succeeded" || last.Commit != p.head {
			t.Errorf("10: the head of %s is %s, and its last build %+v", p.name, p.head, last)
		}
	}
	a.awaitFence(t, builds[a.last(t, all[0].name, "refs/heads/main")].Image)
	if history := a.history(t); !slices.IsSortedFunc(history, func(a, b flipped) int { return cmp.Compare(a.Order, b.Order) }) {
		t.Errorf("5: the fleet went back: %+v", history)
	}
	t.Logf("%d builds", len(builds))
}
