package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/rs/zerolog"
)

// refused fails the test unless a command line ended with status 1 and a reason, on stderr
// alone.
func refused(t *testing.T, says string, args ...string) {
	t.Helper()
	if s := fenceline(t, args...); s.status != ExitFailed || !strings.Contains(s.err, says) || s.out != "" {
		t.Errorf("fenceline %v: %+v, want status %d and %q", args, s, ExitFailed, says)
	}
}

// decoded runs a command line with -o json, and decodes what it prints as a T, all of it.
func decoded[T any](t *testing.T, args ...string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(done(t, append(args, "-o", "json")...)))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil || d.More() {
		t.Fatalf("fenceline %v prints no JSON of a %T: %v", args, v, err)
	}
	return v
}

// controlled runs a controller over the installation, and node-1, which holds both images.
func controlled(t *testing.T, c *queue.Client) {
	t.Helper()
	r, err := controller.New(controller.Config{
		Queue: c, Name: "c1", Interval: 50 * time.Millisecond, Logger: zerolog.Nop(),
		Backend: new(backends.Backends).Factory(c),
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, r.Run)
	background(t, func(ctx context.Context) error {
		status := messages.NodeStatus{
			Fleet: "production", Node: "node-1", Instance: "i2", Interval: messages.Duration(time.Second), Revision: 1,
			Engine: messages.Engine{Name: "docker"},
			Images: []messages.PresentImage{{Image: imageOne, ID: "sha256:aa", Local: "one"}, {Image: imageTwo, ID: "sha256:bb", Local: "two"}},
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			status.Beat++
			if err := store.NewNode(c).Heartbeat(ctx, &status); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
}

// TestPromote flips to an image that the fleet holds and back, with a controller that follows.
func TestPromote(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	controlled(t, c)
	out := done(t, "promote", imageTwo.Digest())
	if want := "production: " + string(imageTwo) + " is current (epoch 4): promoted\n"; out != want {
		t.Errorf("it prints %q, want %q", out, want)
	}
	if out := done(t, "config", "get", "fence", "docker/image"); out != string(imageTwo)+"\n" {
		t.Errorf("the fence config is %q", out)
	}
	refused(t, "it is current already", "promote", imageTwo.Digest())
	r := decoded[messages.FleetRecord](t, "promote", "production", imageOne.Digest())
	if r.Current.Image != imageOne || r.Epoch != 5 || r.Applied.Epoch != 5 || r.Hold == nil || r.Previous.Image != imageTwo {
		t.Errorf("the record is %+v", r)
	}
	refused(t, "no such image", "promote", "sha256:00", "-o", "json")
	r = decoded[messages.FleetRecord](t, "rollback", "--to", "base-bbbbbbbb")
	if r.Current.Image != imageTwo || r.Applied.Epoch != r.Epoch || r.Hold == nil {
		t.Errorf("rolled back to %+v", r)
	}
}

// TestPromoteNeedsTheImageOnNodes refuses what nobody reports.
func TestPromoteNeedsTheImageOnNodes(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	for _, node := range []string{"node-1", "node-2"} {
		done(t, "nodes", "retire", "--force", node)
	}
	refused(t, "must have it", "promote", string(imageTwo))
}

// TestApprove gives rollouts that wait for it a person's word, and no others.
func TestApprove(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	for _, id := range []string{"production-base-yyyyyyyy", "production-base-zzzzzzzz"} {
		create(t, store.Rollouts(c), id, messages.RolloutRecord{
			ID: id, Fleet: "production", State: messages.RolloutApproval, Policy: messages.Policy{Approval: true},
			Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: strings.TrimPrefix(id, "production-"), Pipeline: "base", Order: 20}, Image: imageTwo},
		})
	}
	if out := done(t, "approve", "production-base-yyyyyyyy"); out != "production-base-yyyyyyyy: approved\n" {
		t.Errorf("it prints %q", out)
	}
	if r := decoded[messages.RolloutRecord](t, "approve", "production-base-zzzzzzzz", "--reason", "tried by hand"); r.Approved != whoami() || r.ID != "production-base-zzzzzzzz" || r.ApprovedWhy != "tried by hand" {
		t.Errorf("the record is %+v", r)
	}
	for id, says := range map[string]string{"production-base-yyyyyyyy": "approved by  " + whoami() + "\n", "production-base-zzzzzzzz": "approved by  " + whoami() + ": tried by hand\n"} {
		if out := done(t, "rollouts", "show", id); !strings.Contains(out, says) {
			t.Errorf("of %s it shows %q, not %q", id, out, says)
		}
	}
	refused(t, "there is no rollout", "rollouts", "show", "production-base-none")
	for _, args := range [][]string{{"approve", "x"}, {"abort", "x"}, {"release"}, {"rollback"}, {"promote", "sha256:00"}} {
		if s := fenceline(t, append(args, "--reason", strings.Repeat("x", 1001))...); s.status != ExitUsage || !strings.Contains(s.err, "--reason: the reason has 1001 bytes") {
			t.Errorf("%v with a long reason: %+v", args, s)
		}
	}
	refused(t, "approved it", "approve", "production-base-yyyyyyyy")
	refused(t, "asks for no approval", "approve", "production-base-bbbbbbbb")
	refused(t, "'fenceline rollouts' lists them", "approve", "production-base-none", "-o", "json")
	if r := decoded[messages.RolloutRecord](t, "abort", "production-base-zzzzzzzz", "--reason", "it leaks"); r.Aborted != whoami() || r.AbortedWhy != "it leaks" {
		t.Errorf("aborted: %+v", r)
	}
	if r := decoded[shownRollout](t, "rollouts", "show", "production-base-zzzzzzzz"); r.AbortedWhy != "it leaks" || r.ApprovedWhy != "tried by hand" {
		t.Errorf("its record is shown as %+v", r)
	}
}

// TestWhatTouchedARolloutIsShown with it: the hold that was set before it, rollbacks and promotions, by whom, when and why.
func TestWhatTouchedARolloutIsShown(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	done(t, "release", "--reason", "look again")
	done(t, "hold", "--reason", "frozen until Monday")
	id := "production-base-zzzzzzzz"
	create(t, store.Rollouts(c), id, messages.RolloutRecord{
		ID: id, Fleet: "production", State: messages.RolloutHeld, Opened: time.Now().UTC(),
		Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "base-zzzzzzzz", Pipeline: "base", Order: 20}, Image: imageTwo},
	})
	shown := func(id string) (out []overview.DecisionOf) {
		r := decoded[shownRollout](t, "rollouts", "show", id)
		if r.RolloutRecord == nil || r.ID != id {
			t.Fatalf("it shows %+v", r)
		}
		return r.Decisions
	}
	if got := shown(id); len(got) != 1 || got[0].What != "hold" || got[0].By != whoami() || got[0].At.IsZero() || got[0].Why != "held: frozen until Monday" {
		t.Errorf("decided was %+v", got)
	}
	if out := done(t, "rollouts", "show", id); !strings.Contains(out, " ago): hold by "+whoami()+": held: frozen until Monday\n") {
		t.Errorf("it shows\n%s", out)
	}
	if _, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Previous = messages.FleetImage{Image: imageTwo, Build: "base-bbbbbbbb", Order: 10, Rollout: "production-base-bbbbbbbb"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	done(t, "rollback", "--force", "--wait", "0s", "--reason", "it leaks")
	got := shown("production-base-aaaaaaaa")
	if last := got[len(got)-1]; last.What != "rollback" || last.By != whoami() || !strings.HasSuffix(last.Why, ": it leaks") {
		t.Errorf("of the one that was left, decided was %+v", got)
	}
}

// lettersOf lists dead letters when there are as many as wanted.
func lettersOf(t *testing.T, want int) []overview.Letter {
	t.Helper()
	for patience := time.Now().Add(time.Minute); ; {
		found := decoded[[]overview.Letter](t, "dead-letters", "list")
		if len(found) == want {
			return found
		}
		if time.Now().After(patience) {
			t.Fatalf("the dead letters are %+v, want %d", found, want)
		}
	}
}

// TestDeadLetters has a builder refuse two requests that it can't read, sends one again and
// drops the other.
func TestDeadLetters(t *testing.T) {
	c := installation(t)
	background(t, func(ctx context.Context) error {
		return builds.New(c).Consume(ctx, builds.Work{
			Worker: "b1", Slots: 1, Logger: zerolog.Nop(),
			Build: func(context.Context, *builds.Job) (messages.Payload, error) { return nil, nil },
			Tag:   func(context.Context, messages.BuildRecord) error { return nil },
		})
	})
	for _, body := range []string{"one", "two\x1b[2J"} {
		if _, err := queuetest.JetStream(t, c).Publish(t.Context(), c.Space().RequestSubject("base"), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	found := lettersOf(t, 2)
	one, two := found[0], found[1]
	if string(one.Body) != "one" || one.Name != "fenceline-requests-1" || one.Reason == "" || one.Subject != c.Space().RequestSubject("base") {
		t.Errorf("a letter is %+v", one)
	}
	if out := done(t, "dead-letters", "list"); !strings.Contains(out, one.Name) || !strings.Contains(out, two.Name) {
		t.Errorf("the list is %q", out)
	}
	if l := decoded[overview.Letter](t, "dead-letters", "show", one.Name); l.Name != one.Name || string(l.Body) != "one" || l.Deliveries != one.Deliveries {
		t.Errorf("shown is %+v", l)
	}
	out := done(t, "dead-letters", "show", two.Name)
	if !strings.Contains(out, one.Reason) || !strings.HasSuffix(out, "\n| two\\x1b[2J\n") {
		t.Errorf("shown is %q", out)
	}
	if out := done(t, "dead-letters", "requeue", one.Name); out != one.Name+": sent again\n" {
		t.Errorf("requeue prints %q", out)
	}
	for _, l := range lettersOf(t, 2) { // it can't be read this time either
		if l.Name == one.Name {
			t.Errorf("%s is still there", one.Name)
		}
		if got := decoded[map[string]string](t, "dead-letters", "drop", l.Name); got["name"] != l.Name || got["state"] != "dropped" {
			t.Errorf("drop prints %v", got)
		}
	}
	lettersOf(t, 0)
	for _, command := range []string{"show", "requeue", "drop"} {
		refused(t, one.Name, "dead-letters", command, one.Name)
		refused(t, "the list", "dead-letters", command, "nonsense", "-o", "json")
	}
}

// TestDeadLetterThatIsNotWhole says how much is missing, and doesn't send the rest.
func TestDeadLetterThatIsNotWhole(t *testing.T) {
	c := installation(t)
	publish(t, c, &messages.DeadLetter{Stream: c.Space().RequestsStream(), Sequence: 7, Subject: "s", Reason: "too big", Omitted: 123_456, At: noon()})
	name := lettersOf(t, 1)[0].Name
	if out := done(t, "dead-letters", "show", name); !strings.Contains(out, "123456 bytes were too many") {
		t.Errorf("shown is %q", out)
	}
	refused(t, "drop the letter", "dead-letters", "requeue", name)
	lettersOf(t, 1)
}
