package controller_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// outside is a store outside of the installation: a file for each fleet, reached by an operator's commands.
type outside struct{ dir string }

func newOutside(t *testing.T) outside {
	t.Helper()
	o := outside{t.TempDir()}
	script := "#!/bin/sh\ncd " + o.dir + ` || exit 1
if [ -e away ]; then echo "the store is away: $(cat away) $(date +%N)" >&2; exit 1; fi
if [ "$1" = get ] && [ -e hangs ]; then exec sleep 60; fi
if [ "$1" = get ]; then cat "$2" 2>/dev/null; exit 0; fi
[ "$(cat "$2" 2>/dev/null)" = "$4" ] || exit 75
echo "$3" >"$2.new" && mv "$2.new" "$2"
if [ -e lost ]; then echo the answer is lost >&2; exit 1; fi
`
	if err := os.WriteFile(filepath.Join(o.dir, "store"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return o
}

// places are a controller's that reaches the store, for all fleets as one or for each as its own, and by
// default or where a fleet's policy says so.
func (o outside) places(t *testing.T, kind, fleet string) func(*controller.Config) {
	t.Helper()
	b, err := backends.New(backends.Config{
		Kind: kind, FenceGet: filepath.Join(o.dir, "store") + " get " + fleet, FenceSet: filepath.Join(o.dir, "store") + " set " + fleet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *controller.Config) { c.Backend, c.LeaseTTL = b.Factory(c.Queue), 5*time.Second }
}

// write sets the value at once: a controller that looks in between must not find an empty one.
func (o outside) write(t *testing.T, fleet, value string) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(made, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(made, filepath.Join(o.dir, fleet)); err != nil {
		t.Fatal(err)
	}
}

func (o outside) holds(t *testing.T, fleet, value string) {
	t.Helper()
	deadline := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		got, _ := os.ReadFile(filepath.Join(o.dir, fleet))
		if strings.TrimSpace(string(got)) == value {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited %s for the store to hold %s; it is %q", patience, value, got)
		}
	}
}

// past is what the history of a fleet says: value, who and why, on a line each.
func (i installation) past(t *testing.T, fleet string) string {
	t.Helper()
	all, err := backends.History(t.Context(), i.q, fleet)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, c := range all {
		value := c.Value
		if at, err := messages.ParseImage(value); err == nil {
			value = strings.TrimLeft(strings.TrimPrefix(at.Digest(), "sha256:"), "0")
		}
		fmt.Fprintf(&out, "%s %s %s/%s/%s\n", c.Kind, value, c.Cause.Rollout, c.Cause.By, c.Cause.Reason)
	}
	return out.String()
}

// inPlace runs a controller with a fleet in a store, which has gone through so many images there.
func inPlace(t *testing.T, o outside, images uint64) installation {
	t.Helper()
	i := install(t)
	i.controller(t, "c1", o.places(t, messages.FenceExec, "{fleet}"))
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	for order := uint64(1); order <= images; order++ {
		i.announce(t, order, target("default", nil))
		i.fleet(t, "default", "to follow", func(r messages.FleetRecord) bool {
			return r.Current.Order == order && r.Applied.Epoch == r.Epoch && r.Applied.Error == "" && r.Applied.Store == messages.FenceExec
		})
	}
	return i
}

func TestAStoreOutsideFollowsAndIsRemembered(t *testing.T) {
	o := newOutside(t)
	o.write(t, "default", "stackato/stack-alsek")
	i := inPlace(t, o, 2)
	o.holds(t, "default", string(image(2)))
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "default", string(image(1)))
	i.fleet(t, "default", "to have seen that", func(r messages.FleetRecord) bool { return r.Applied.Epoch == r.Epoch && r.Applied.Error == "" })
	o.write(t, "default", "exampleco/by-hand")
	i.fleet(t, "default", "to see a person's value", func(r messages.FleetRecord) bool { return r.Applied.Value == "exampleco/by-hand" })
	want := "exec stackato/stack-alsek //\nexec 1 default-app-build1/fenceline/flipped by rollout default-app-build1\n" +
		"exec 2 default-app-build2/fenceline/flipped by rollout default-app-build2\n" +
		"exec 1 default-app-build1/ada/rolled back from " + image(2).Digest() + "\nexec exampleco/by-hand //\n"
	if got := i.past(t, "default"); got != want {
		t.Errorf("the history is\n%swant\n%s", got, want)
	}
	if s, err := i.backend("default").Get(t.Context()); err != nil || s.Value != "" {
		t.Errorf("the installation's own bucket has %+v, %v", s, err)
	}
}

// TestALateWriteIsPutRight has an earlier image written as a controller does that was paused and goes on.
func TestALateWriteIsPutRight(t *testing.T) {
	o := newOutside(t)
	i := inPlace(t, o, 2)
	for range 3 {
		o.write(t, "default", string(image(1)))
		o.holds(t, "default", string(image(2)))
	}
	if r := i.fleet(t, "default", "to be there", func(messages.FleetRecord) bool { return true }); r.Hold != nil || r.Epoch != 2 {
		t.Errorf("the record is %+v", r)
	}
	if controller.DefaultInterval > 5*time.Second {
		t.Errorf("a late write stands for %s", controller.DefaultInterval)
	}
}

func TestAStoreThatIsAwayIsSaidAndFollowsLater(t *testing.T) {
	o := newOutside(t)
	i := inPlace(t, o, 1)
	o.write(t, "away", "")
	i.fleet(t, "default", "to say what is wrong", func(r messages.FleetRecord) bool {
		return strings.Contains(r.Applied.Error, "the fence config can't be read") && strings.Contains(r.Applied.Error, "the store is away")
	})
	i.announce(t, 2, target("default", nil))
	i.fleet(t, "default", "to decide all the same", func(r messages.FleetRecord) bool { return r.Current.Order == 2 })
	if err := os.Remove(filepath.Join(o.dir, "away")); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "default", string(image(2)))
	i.fleet(t, "default", "to say that it is well", func(r messages.FleetRecord) bool { return r.Applied.Epoch == 2 && r.Applied.Error == "" })
}

// TestWhatIsWrongIsWrittenOnce has the store say something else each time, but only by its numbers: a record that
// is written is told to every node, and of its earlier states only some are kept.
func TestWhatIsWrongIsWrittenOnce(t *testing.T) {
	o := newOutside(t)
	i := inPlace(t, o, 1)
	says := func(what string) func(messages.FleetRecord) bool {
		return func(r messages.FleetRecord) bool {
			return strings.Contains(r.Applied.Error, "the store is away: "+what)
		}
	}
	o.write(t, "away", "broken")
	first := i.fleet(t, "default", "to say what is wrong", says("broken"))
	i.heartbeats(t, 10)
	if r := i.fleet(t, "default", "to say it still", says("broken")); r.Decision != first.Decision || r.Applied.Error != first.Applied.Error {
		t.Errorf("it was written again: %s, then %s", first.Applied.Error, r.Applied.Error)
	}
	o.write(t, "away", "repaired")
	i.fleet(t, "default", "to say what is wrong now", says("repaired"))
}

func TestAPersonSetsAnEarlierImageThroughTheController(t *testing.T) {
	o := newOutside(t)
	i := inPlace(t, o, 2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := people.ReadFence(ctx, i.q, "default")
	if err != nil || a.Value != string(image(2)) || a.Store != messages.FenceExec || a.Held {
		t.Fatalf("it reads %+v, %v", a, err)
	}
	if a, err = people.ForceFence(ctx, i.q, "default", string(image(1)), "a trial", "ada"); err != nil || !a.Held || a.Previous != string(image(2)) {
		t.Fatalf("it answers %+v, %v", a, err)
	}
	r := i.fleet(t, "default", "to be held", func(r messages.FleetRecord) bool { return r.Hold != nil && r.Applied.ByHand })
	if r.Hold.By != "ada" || !strings.HasSuffix(r.Hold.Reason, ": a trial") || r.Applied.Value != string(image(1)) {
		t.Errorf("the record says %+v, %+v", r.Hold, r.Applied)
	}
	i.heartbeats(t, 5) // looks pass, and it is not driven back
	o.holds(t, "default", string(image(1)))
	if got := i.past(t, "default"); !strings.HasSuffix(got, "exec 1 /ada/a trial\n") {
		t.Errorf("the history is\n%s", got)
	}
	if _, err := people.Release(ctx, i.q, "default", "ada"); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "default", string(image(2)))
	for value, says := range map[string]string{"two words": "not the name of an image", "exampleco/newimg:1": "by digest alone", string(image(7)): "must have it"} {
		if _, err := people.SetFence(ctx, i.q, "default", value, "a trial", "ada"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// TestAPersonSetsWhatIsHeldAlready has two people set a fleet that a third one holds, in the installation's own
// bucket and outside: what was set last is in the history, in the hold and in an event, with who and why.
func TestAPersonSetsWhatIsHeldAlready(t *testing.T) {
	for _, kind := range []string{messages.FenceNATS, messages.FenceExec} {
		t.Run(kind, func(t *testing.T) {
			o := newOutside(t)
			i := install(t)
			i.controller(t, "c1", o.places(t, kind, "{fleet}"))
			startNode(t, i.q, "default", "n1")
			i.members(t, 1)
			i.announce(t, 1, target("default", nil))
			i.fleet(t, "default", "to follow", func(r messages.FleetRecord) bool { return r.Applied.Epoch == 1 && r.Applied.Error == "" })
			if _, err := people.Hold(t.Context(), i.q, "default", "a freeze", "bob"); err != nil {
				t.Fatal(err)
			}
			for _, by := range []string{"ada", "eve"} { // the same value twice
				if _, err := people.ForceFence(t.Context(), i.q, "default", "exampleco/by-hand", "as "+by+" says", by); err != nil {
					t.Fatal(err)
				}
				says := "set the fence config to exampleco/by-hand: as " + by + " says; held before by bob: a freeze"
				i.fleet(t, "default", "to be held by "+by, func(r messages.FleetRecord) bool { return r.Hold != nil && r.Hold.By == by && r.Hold.Reason == says })
				if got, want := i.past(t, "default"), kind+" exampleco/by-hand /"+by+"/as "+by+" says\n"; !strings.HasSuffix(got, want) {
					t.Errorf("the history is\n%swithout %s", got, want)
				}
			}
		})
	}
}

func TestAPersonsWriteWhoseAnswerIsLostIsTheirs(t *testing.T) {
	o := newOutside(t)
	i := inPlace(t, o, 1)
	o.write(t, "lost", "")
	a, err := people.ForceFence(t.Context(), i.q, "default", "exampleco/by-hand", "a trial", "ada")
	if err != nil || !a.Held || a.Value != "exampleco/by-hand" {
		t.Fatalf("it answers %+v, %v", a, err)
	}
	if r := i.fleet(t, "default", "to be held", func(r messages.FleetRecord) bool { return r.Hold != nil }); r.Hold.By != "ada" || !r.Applied.ByHand {
		t.Errorf("the record says %+v, %+v", r.Hold, r.Applied)
	}
	if got := i.past(t, "default"); !strings.HasSuffix(got, "exec exampleco/by-hand /ada/a trial\n") {
		t.Errorf("the history is\n%s", got)
	}
}

func TestAFleetMovesToThePlaceOfItsPolicy(t *testing.T) {
	o := newOutside(t)
	o.write(t, "default", "stackato/stack-alsek")
	i := install(t)
	kill := i.controller(t, "c1")
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	i.announce(t, 1, target("default", nil))
	i.applied(t, "default", 1)
	there := target("default", func(p *messages.Policy) { p.Fence = messages.FenceExec })
	i.announce(t, 2, there)
	i.fleet(t, "default", "to say that no commands are given", func(r messages.FleetRecord) bool {
		return r.Fence == messages.FenceExec && strings.Contains(r.Applied.Error, "pipeline file, is exec") && strings.Contains(r.Applied.Error, "no commands are given")
	})
	kill()
	i.controller(t, "c2", o.places(t, "", "{fleet}"))
	o.holds(t, "default", string(image(2))) // what stood there was there before, and no person's doing
	i.fleet(t, "default", "to follow", func(r messages.FleetRecord) bool {
		return r.Applied == (messages.Applied{Epoch: 2, Value: string(image(2)), Store: messages.FenceExec}) && r.Hold == nil
	})
	if s, err := i.backend("default").Get(t.Context()); err != nil || s.Value != string(image(1)) {
		t.Errorf("the place before has %+v, %v", s, err)
	}
	i.announce(t, 3, target("default", nil)) // and back
	i.applied(t, "default", 3)
	o.holds(t, "default", string(image(2)))
}

// TestControllersMoveToAnotherPlace starts a controller anew with another place, which is away at first, while an
// image is in its soak: that is not over before the new place names the image, and an event says that it does.
func TestControllersMoveToAnotherPlace(t *testing.T) {
	o := newOutside(t)
	o.write(t, "default", "stackato/stack-alsek")
	o.write(t, "away", "")
	i := install(t)
	kill := i.controller(t, "c1")
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	id := i.announce(t, 1, target("default", func(p *messages.Policy) { p.Soak = messages.Duration(2 * time.Second) }))
	i.state(t, id, messages.RolloutSoaking)
	kill()
	i.controller(t, "c2", o.places(t, messages.FenceExec, "{fleet}"))
	i.rollout(t, id, "to wait for the place", func(r messages.RolloutRecord) bool {
		return r.State == messages.RolloutFlipped && strings.Contains(r.Why, "the store is away")
	})
	if err := os.Remove(filepath.Join(o.dir, "away")); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "default", string(image(1)))
	i.state(t, id, messages.RolloutDone)
	queuetest.Eventually(t, "an event to say so", func() bool {
		said := false
		queuetest.Must(t, i.q.Read(t.Context(), i.q.Space().EventsStream(), queue.ReadOptions{}, func(r queue.Received) error {
			said = said || strings.Contains(string(r.Message.Body), "lives in exec now, and not in natskv")
			return nil
		}))
		return said
	})
}

// TestOnePlaceIsOneFleets has two fleets come to a store that has one setting.
func TestOnePlaceIsOneFleets(t *testing.T) {
	o := newOutside(t)
	i := install(t)
	kill := i.controller(t, "c1", o.places(t, messages.FenceExec, "all"))
	for n, fleet := range []string{"one", "two"} {
		startNode(t, i.q, fleet, "n1")
		i.members(t, n+1)
	}
	i.announce(t, 1, target("two", nil))
	o.holds(t, "all", string(image(1)))
	i.fleet(t, "two", "to hold it", func(r messages.FleetRecord) bool { return r.Applied.Epoch == 1 })
	i.heartbeats(t, 5)
	if got := i.past(t, "one"); got != "" { // its looks see what is the other's
		t.Errorf("the history of the fleet that has nothing there is\n%s", got)
	}
	i.announce(t, 2, target("one", nil))
	refused := func(r messages.FleetRecord) bool {
		return r.Current.Order == 2 && strings.Contains(r.Applied.Error, "exec holds one image, which is that of fleet two")
	}
	i.fleet(t, "one", "to be refused", refused)
	kill()
	i.controller(t, "c2", o.places(t, messages.FenceExec, "all"))
	i.heartbeats(t, 5)
	i.fleet(t, "one", "to be refused still", refused)
	if _, err := people.ForceFence(t.Context(), i.q, "one", "a/b", "", "ada"); err == nil || !strings.Contains(err.Error(), "is that of fleet two") {
		t.Errorf("setting it by hand gives %v", err)
	}
	o.holds(t, "all", string(image(1)))
	if r := i.fleet(t, "two", "to be there", func(messages.FleetRecord) bool { return true }); r.Hold != nil || r.Applied.Error != "" {
		t.Errorf("the fleet that was there first: %+v", r)
	}
}

func TestNoControllerAnswers(t *testing.T) {
	i := install(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := people.ReadFence(ctx, i.q, "default"); !errors.Is(err, people.ErrNoController) || !strings.Contains(err.Error(), "start one") {
		t.Errorf("it says %v", err)
	}
	i.controller(t, "c1")
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	if _, err := people.ReadFence(t.Context(), i.q, "nope"); err == nil || !strings.Contains(err.Error(), "no such fleet") {
		t.Errorf("of an unknown fleet it says %v", err)
	}
}

// TestTheHistorySaysWhoAndWhyOfLocalNames has a fence config hold local names, in the installation's own bucket and outside.
func TestTheHistorySaysWhoAndWhyOfLocalNames(t *testing.T) {
	o := newOutside(t)
	i := install(t)
	i.controller(t, "c1", o.places(t, "", "{fleet}"))
	startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	for order, place := range []string{messages.FenceNATS, messages.FenceExec} {
		order := uint64(order + 1)
		i.announce(t, order, target("default", func(p *messages.Policy) { p.Reference, p.Fence = messages.ReferenceLocal, place }))
		i.fleet(t, "default", "to follow", func(r messages.FleetRecord) bool {
			return r.Current.Order == order && r.Applied.Epoch == r.Epoch && r.Applied.Value == r.LocalName(image(order)) && r.Applied.Error == ""
		})
	}
	got := i.past(t, "default")
	for _, says := range []string{" default-app-build1/fenceline/flipped by rollout default-app-build1\n", " default-app-build2/fenceline/flipped by rollout default-app-build2\n"} {
		if !strings.Contains(got, says) {
			t.Errorf("the history has no %q:\n%s", says, got)
		}
	}
}

// TestAPromotedImageBringsItsPlace has a person make an image current that the fleet was never flipped to.
func TestAPromotedImageBringsItsPlace(t *testing.T) {
	o := newOutside(t)
	i := install(t)
	i.controller(t, "c1", o.places(t, "", "{fleet}"))
	n := startNode(t, i.q, "default", "n1")
	i.members(t, 1)
	i.announce(t, 1, target("default", nil))
	i.applied(t, "default", 1)
	n.awaited(t)
	if _, err := people.Hold(t.Context(), i.q, "default", "a look first", "ada"); err != nil {
		t.Fatal(err)
	}
	held := i.announce(t, 2, target("default", func(p *messages.Policy) { p.Fence = messages.FenceExec }))
	i.state(t, held, messages.RolloutHeld)
	if _, err := people.Promote(t.Context(), i.q, "default", image(2).Digest(), "ada"); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "default", string(image(2)))
	if _, err := people.Rollback(t.Context(), i.q, "default", "", "ada"); err != nil {
		t.Fatal(err)
	}
	o.holds(t, "default", string(image(1))) // an older image moves nothing back
}
