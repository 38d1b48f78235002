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
// container that it is about. Resume is what goes on once the outage has begun.
type moment struct {
	name   string
	reach  func(s *shape, t *testing.T) (id string, c container)
	resume func(s *shape, t *testing.T)
	// retried tells whether the build can't end in the attempt that the outage met.
	retried func(o outage) bool
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
		if err == nil && !strings.Contains(out, "RUN sleep") {
			err = fmt.Errorf("the build's log has %q", out)
		}
		return err
	})
	return id, s.called(t, "builder", b.Worker)
}

// held is an image that lacks nothing for its flip but the end of a hold, and the controller
// that acts.
func held(s *shape, t *testing.T) (string, container) {
	s.must(t, "hold", "--reason", t.Name())
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

// pulling is a node in mid-pull.
func pulling(s *shape, t *testing.T) (string, container) {
	id := s.push(t, large())
	var found container
	nodes := s.of(t, "node")
	awaitClosely(t, "a node that pulls", func(context.Context) error {
		for _, c := range nodes {
			work := s.records.heard(strings.TrimPrefix(string(c), s.project+"-")).Work
			if strings.HasSuffix(work.Rollout, id) && work.State == "pulling" {
				found = c
				return nil
			}
		}
		return errors.New("none pulls")
	})
	return id, found
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
	builderSolves   = moment{name: "a builder in mid-solve", reach: solving, retried: func(outage) bool { return true }}
	buildkitdSolves = moment{
		name: "buildkitd in mid-solve",
		reach: func(s *shape, t *testing.T) (string, container) {
			id, _ := solving(s, t)
			return id, s.the(t, "buildkitd")
		},
		retried: func(o outage) bool { return o.gone },
	}
	controllerDecide = moment{name: "the acting controller between quorum and flip", reach: held, resume: func(s *shape, t *testing.T) { s.mustSoon(t, "release") }}
	nodePulls        = moment{name: "a node in mid-pull", reach: pulling}
	registryTakes    = moment{name: "the registry in mid-push", reach: pushing}
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

// survives takes a part away at a moment, its own or that of another service.
func (s *shape) survives(t *testing.T, m moment, o outage, service string) {
	s.onFailure(t)
	id, c := m.reach(s, t)
	if service != "" {
		c = s.the(t, service)
	}
	giveBack := s.take(t, o, c)
	if strings.Contains(string(c), "-nats-") {
		s.outageWithoutNATS(t, o, id, giveBack)
		if m.resume != nil {
			m.resume(s, t)
		}
	} else {
		if m.resume != nil {
			m.resume(s, t)
		}
		s.outageWithNATS(t, o, c, id, giveBack)
	}
	s.flipped(t, id)
	s.check(t)
	s.healthy(t)
	b, err := s.records.build(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if service == "" && m.retried != nil && m.retried(o) && b.Attempt < 2 {
		t.Errorf("the build ended in attempt %d: the moment was missed", b.Attempt)
	}
}

// outageWithoutNATS sees that status says so, for as long as a stopped server stands still, and
// that no hook is accepted.
func (s *shape) outageWithoutNATS(t *testing.T, o outage, id string, giveBack func()) {
	t.Helper()
	commit := s.ledger.all()[id]
	told := func(ctx context.Context) error {
		_, err := s.Run(ctx, "status")
		var failed *site.CommandError
		if !errors.As(err, &failed) || failed.Status != 1 || !strings.Contains(failed.Stderr, s.addresses["FENCELINE_NATS_PORT"]) {
			return fmt.Errorf("without NATS status does not say where it is missing: %w", err)
		}
		// That of the push under way: where it is stored after all it is a duplicate.
		if a, err := s.accepted(ctx, commit); err == nil {
			return fmt.Errorf("without NATS a webhook is accepted as %s", a)
		}
		return nil
	}
	if err := told(t.Context()); err != nil {
		t.Error(err)
	}
	if !o.gone {
		during(t, 2*lease, told)
	}
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

// must runs a command that has to succeed, and mustSoon one that may have to wait for NATS.
func (s *shape) must(t *testing.T, args ...string) {
	t.Helper()
	if _, err := s.Run(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

func (s *shape) mustSoon(t *testing.T, args ...string) {
	t.Helper()
	await(t, strings.Join(args, " "), func(ctx context.Context) error {
		_, err := s.Run(ctx, args...)
		return err
	})
}

// TestProducer takes the producer away between the publishing of a request and its answer: NATS
// stands still meanwhile. The forge sends the hook again, and there is one build.
func TestProducer(t *testing.T) {
	s := shared.get(t)
	for _, o := range []outage{killed, stopped} {
		t.Run(o.name, func(t *testing.T) {
			s.onFailure(t)
			commit := s.commit(t, quick())
			goOn := s.take(t, stopped, s.the(t, "nats"))
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				_, _ = s.hook(t.Context(), commit) // that it has no answer is the point
			}()
			// It has sent the request once its only open connection waits for NATS.
			during(t, lease/3, func(context.Context) error { return nil })
			giveBack := s.take(t, o, s.the(t, "producer"))
			goOn()
			if !o.gone {
				during(t, 2*lease, func(context.Context) error { return nil })
			}
			giveBack()
			<-answered
			var id string
			await(t, "an accepted webhook", func(ctx context.Context) (err error) {
				id, err = s.accepted(ctx, commit)
				return err
			})
			s.flipped(t, id)
			s.check(t)
			s.healthy(t)
		})
	}
}

// TestCut cuts the network between a node and NATS in the middle of a pull, and between the
// builders' buildkitd and the registry in the middle of a push, for longer than every lease.
func TestCut(t *testing.T) {
	s := shared.get(t)
	t.Run("a node from NATS", func(t *testing.T) { s.survives(t, nodePulls, cut("queue"), "") })
	t.Run("a builder from the registry", func(t *testing.T) { s.survives(t, registryTakes, cut("images"), "buildkitd") })
}
