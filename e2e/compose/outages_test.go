package compose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/demo/site"
)

// flipped waits until the fleet is told to use a build's image.
func (s *shape) flipped(t *testing.T, id string) {
	t.Helper()
	await(t, "the flip to "+id, func(ctx context.Context) error {
		b, err := s.records.build(ctx, id)
		if err != nil {
			return err
		}
		out, err := s.Run(ctx, "config", "get", "fence", "docker/image")
		if got := strings.TrimSpace(out); err == nil && (b.Image == "" || got != b.Image) {
			err = fmt.Errorf("the fence config has %q; the build: %+v", got, b)
		}
		return err
	})
}

// moment is one at which a part is taken away: reach comes to it, with what is built and the
// container that it is about.
type moment struct {
	name  string
	reach func(s *shape, t *testing.T) (id string, c container)
	// met tells whether the part was still at it once it was taken away, if that is not certain.
	met func(s *shape, t *testing.T, id string, c container) error
	// resume is what goes on once the outage has begun, if not nil.
	resume func(s *shape, t *testing.T)
	// others waits for what the other parts do meanwhile, without this one, if not nil.
	others func(s *shape, t *testing.T, id string, c container)
	// retried tells whether the build can't end in the attempt that the outage met.
	retried func(o outage) bool
}

// running tells whether a build has not ended yet.
func (s *shape) running(t *testing.T, id string, _ container) error {
	if b := s.readBuild(t, id); b.State != "running" {
		return fmt.Errorf("the build is %s", b.State)
	}
	return nil
}

// readBuild reads a build's record, which NATS may need some time for.
func (s *shape) readBuild(t *testing.T, id string) (b buildRecord) {
	t.Helper()
	await(t, "the record of "+id, func(ctx context.Context) (err error) {
		b, err = s.records.build(ctx, id)
		return err
	})
	return b
}

// solving is a builder in mid-solve.
func solving(s *shape, t *testing.T) (string, container) {
	id := s.push(t, slow())
	var b buildRecord
	await(t, "a build under way", func(ctx context.Context) error {
		var err error
		if b, err = s.records.build(ctx, id); err != nil {
			return err
		}
		out, err := s.Run(ctx, "logs", id)
		if err == nil && !strings.Contains(out, "sleep 4") {
			err = fmt.Errorf("the build's log has %q", out)
		}
		return err
	})
	return id, s.called(t, "builder", b.Worker)
}

// built waits until another builder has a build.
func built(s *shape, t *testing.T, id string, c container) {
	await(t, "another builder", func(ctx context.Context) error {
		b, err := s.records.build(ctx, id)
		if err == nil && (b.Attempt < 2 || s.called(t, "builder", b.Worker) == c) {
			err = fmt.Errorf("the build has attempt %d, of %s", b.Attempt, b.Worker)
		}
		return err
	})
}

// held is an image that lacks nothing for its flip but the end of a hold, and the controller
// that acts.
func held(s *shape, t *testing.T) (string, container) {
	s.must(t, "hold", "--reason", t.Name())
	t.Cleanup(func() { s.release(t) })
	id := s.push(t, quick())
	await(t, "a rollout that is held", func(ctx context.Context) error {
		r, err := s.records.rollout(ctx, fleet+"-"+id)
		if err == nil && r.State != "held" {
			err = fmt.Errorf("it is %s: %s", r.State, r.Why)
		}
		return err
	})
	acting, err := s.records.acting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id, s.called(t, "controller", acting)
}

// release ends the hold, once. Where its answer is lost the hold may be gone all the same.
func (s *shape) release(t *testing.T) {
	t.Helper()
	await(t, "the end of the hold", func(ctx context.Context) error {
		if f, err := s.records.fleet(ctx); err != nil || f.Hold == nil {
			return err
		}
		_, err := s.Run(ctx, "release")
		return err
	})
}

// pulling is a node in mid-pull.
func pulling(s *shape, t *testing.T) (string, container) {
	id := s.push(t, large())
	var found container
	nodes := s.of(t, "node")
	awaitClosely(t, "a node that pulls", func(context.Context) error {
		for _, c := range nodes {
			work := s.records.heartbeats.does(strings.TrimPrefix(string(c), s.project+"-"))
			if strings.HasSuffix(work.Rollout, id) && work.State == "pulling" {
				found = c
				return nil
			}
		}
		return errors.New("none pulls")
	})
	return id, found
}

// lacks tells whether a node has not said that it has a build's image.
func lacks(s *shape, t *testing.T, id string, c container) error {
	b := s.readBuild(t, id)
	if slices.Contains(s.records.heartbeats.seen.Last(strings.TrimPrefix(string(c), s.project+"-")).Images, b.Image) {
		return errors.New("the node has the image")
	}
	return nil
}

// pushing is the registry in mid-push.
func pushing(s *shape, t *testing.T) (string, container) {
	id := s.push(t, large())
	await(t, "an image that is pushed", func(ctx context.Context) error {
		out, err := s.Run(ctx, "logs", id)
		if err == nil && !strings.Contains(out, "hooks checked") {
			err = fmt.Errorf("the build's log has %q", out)
		}
		return err
	})
	return id, s.the(t, "registry")
}

var (
	builderSolves = moment{
		name: "a builder in mid-solve", reach: solving, met: (*shape).running, others: built, retried: func(outage) bool { return true },
	}
	buildkitdSolves = moment{
		name: "buildkitd in mid-solve",
		reach: func(s *shape, t *testing.T) (string, container) {
			id, _ := solving(s, t)
			return id, s.the(t, "buildkitd")
		},
		met:     (*shape).running,
		retried: func(o outage) bool { return o.gone },
	}
	controllerDecide = moment{
		name: "the acting controller between quorum and flip", reach: held, resume: (*shape).release,
		others: func(s *shape, t *testing.T, id string, _ container) { s.flipped(t, id) },
	}
	nodePulls     = moment{name: "a node in mid-pull", reach: pulling, met: lacks}
	registryTakes = moment{name: "the registry in mid-push", reach: pushing, met: (*shape).running}
	builderPushes = moment{
		name: "a builder in mid-push",
		reach: func(s *shape, t *testing.T) (string, container) {
			id, _ := pushing(s, t)
			return id, s.called(t, "builder", s.readBuild(t, id).Worker)
		},
		met: (*shape).running,
	}
)

// TestOutages takes each part away at its worst moment, by kill -9 and by SIGSTOP for longer
// than every lease, and NATS at each of these moments: the image becomes the fleet's all the
// same, once, and nothing that must always be true is not.
func TestOutages(t *testing.T) {
	s := shared.get(t)
	for _, o := range []outage{killed, stopped} {
		for _, m := range []moment{builderSolves, buildkitdSolves, controllerDecide, nodePulls, registryTakes} {
			t.Run(m.name+" "+o.name, func(t *testing.T) { s.survives(t, m, o, "") })
			if m.name != buildkitdSolves.name { // for NATS the moment is that of the builder
				t.Run("NATS "+o.name+" with "+m.name, func(t *testing.T) { s.survives(t, m, o, "nats") })
			}
		}
	}
}

// missedMost is how often a moment may be over before the part is taken away, and how often the flip after it may
// be one that could not be judged.
const missedMost = 5

// survives takes a part away at a moment, its own or that of another service, again where what came of it was
// not seen.
func (s *shape) survives(t *testing.T, m moment, o outage, service string) {
	s.onFailure(t)
	for missed := 0; ; missed++ {
		unseen := s.survivesOnce(t, m, o, service)
		if len(unseen) == 0 {
			return
		}
		if missed == missedMost {
			t.Fatalf("not seen, again and again: %s", unseen)
		}
		t.Logf("done again, as it was not seen: %s", unseen)
	}
}

func (s *shape) survivesOnce(t *testing.T, m moment, o outage, service string) (unseen []string) {
	t.Helper()
	var id string
	var c container
	var giveBack func()
	for missed := 0; ; missed++ {
		var at container
		id, at = m.reach(s, t)
		if c = at; service != "" {
			c = s.the(t, service)
		}
		giveBack = s.take(t, o, c)
		if m.met == nil || service == "nats" { // which can't be asked now
			break
		}
		err := m.met(s, t, id, at)
		if err == nil {
			break
		}
		giveBack()
		if missed == missedMost {
			t.Fatalf("the moment was missed again and again: %v", err)
		}
		t.Logf("the moment was missed: %v", err)
	}
	if service == "nats" {
		s.outageWithoutNATS(t, o, id, giveBack)
		if m.resume != nil {
			m.resume(s, t)
		}
	} else {
		if m.resume != nil {
			m.resume(s, t)
		}
		if service == "" && m.others != nil {
			m.others(s, t, id, c)
		}
		s.outageWithNATS(t, o, c, id, giveBack)
	}
	s.flipped(t, id)
	unseen = s.judge(t)
	s.healthy(t)
	b := s.readBuild(t, id)
	if service == "" && m.retried != nil && m.retried(o) && b.Attempt < 2 {
		t.Errorf("the build ended in attempt %d: the moment was missed", b.Attempt)
	}
	return unseen
}

// outageWithoutNATS sees that status says so, for as long as a stopped server stands still, and
// that no hook is accepted.
func (s *shape) outageWithoutNATS(t *testing.T, o outage, id string, giveBack func()) {
	t.Helper()
	commit := s.ledger.all()[id]
	told := func(ctx context.Context) error {
		hook := make(chan error, 1)
		go func() {
			// That of the push under way: where it is stored after all it is a duplicate.
			a, err := s.accepted(ctx, commit)
			if err == nil {
				hook <- fmt.Errorf("without NATS a webhook is accepted as %s", a)
			}
			close(hook)
		}()
		_, err := s.Run(ctx, "status")
		var failed *site.CommandError
		if !errors.As(err, &failed) || failed.Status != 1 || !strings.Contains(failed.Stderr, s.addresses["FENCELINE_NATS_PORT"]) {
			return fmt.Errorf("without NATS status does not say where it is missing: %w", err)
		}
		return <-hook
	}
	lasts := 2 * lease
	if o.gone {
		lasts = 0
	}
	during(t, lasts, told)
	giveBack()
}

// outageWithNATS sees that status tells the truth until the part comes back: a killed one once
// it is missed, a stopped one after more than every lease.
func (s *shape) outageWithNATS(t *testing.T, o outage, c container, id string, giveBack func()) {
	t.Helper()
	during(t, lease, func(ctx context.Context) error { return s.truthful(ctx, id) })
	if node, ok := strings.CutPrefix(string(c), s.project+"-node-"); ok {
		await(t, "status to miss the node", func(ctx context.Context) error {
			out, err := s.Run(ctx, "status")
			if err == nil && !strings.Contains(out, "node-"+node+": silent") {
				err = fmt.Errorf("it says\n%s", out)
			}
			return err
		})
	}
	if !o.gone {
		during(t, lease, func(ctx context.Context) error { return s.truthful(ctx, id) })
	}
	giveBack()
}

// status is what counts of what it tells.
type status struct {
	Fleets []struct {
		Fleet    string
		Record   *fleetRecord
		Rollouts []rolloutRecord
	}
	Builds []struct{ Build, State, Image string }
}

// truthful compares what status says with the records, which may have moved meanwhile: what it
// says is what they said before or after.
func (s *shape) truthful(ctx context.Context, id string) error {
	fleetBefore, err := s.records.fleet(ctx)
	if err != nil {
		return err
	}
	buildBefore, err := s.records.build(ctx, id)
	if err != nil {
		return err
	}
	var told status
	if err := s.JSON(ctx, &told, "status"); err != nil {
		return err
	}
	fleetAfter, err := s.records.fleet(ctx)
	if err != nil {
		return err
	}
	buildAfter, err := s.records.build(ctx, id)
	if err != nil {
		return err
	}
	seen := 0
	for _, f := range told.Fleets {
		if f.Fleet != fleet || f.Record == nil {
			continue
		}
		seen++
		if f.Record.Epoch != fleetBefore.Epoch && f.Record.Epoch != fleetAfter.Epoch {
			return fmt.Errorf("status has epoch %d, the record had %d and has %d", f.Record.Epoch, fleetBefore.Epoch, fleetAfter.Epoch)
		}
	}
	for _, b := range told.Builds {
		if b.Build != id {
			continue
		}
		seen++
		if !slices.Contains([]string{buildBefore.State, buildAfter.State}, b.State) {
			return fmt.Errorf("status says that %s is %s, the record said %s and says %s", id, b.State, buildBefore.State, buildAfter.State)
		}
	}
	if seen != 2 {
		return fmt.Errorf("status has not both the fleet and %s: %+v", id, told)
	}
	return nil
}

// must runs a command that has to succeed.
func (s *shape) must(t *testing.T, args ...string) {
	t.Helper()
	if _, err := s.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

// TestCut cuts the network between a node and NATS in the middle of a pull, between a builder and NATS
// in the middle of a solve, and between a builder, or the builders' buildkitd, and the registry in the
// middle of a push, for longer than every lease.
func TestCut(t *testing.T) {
	s := shared.get(t)
	t.Run("a node from NATS", func(t *testing.T) { s.survives(t, nodePulls, cut("queue"), "") })
	t.Run("a builder from NATS", func(t *testing.T) { s.survives(t, builderSolves, cut("queue"), "") })
	t.Run("a builder from the registry", func(t *testing.T) { s.survives(t, builderPushes, cut("images"), "") })
	t.Run("buildkitd from the registry", func(t *testing.T) { s.survives(t, registryTakes, cut("images"), "buildkitd") })
}
