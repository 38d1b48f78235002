package controller_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// disbelieves announces an image, and waits until that is a dead letter that says why.
func (i installation) disbelieves(t *testing.T, m *messages.ImageReady, name, says string) {
	t.Helper()
	queuetest.Must(t, i.q.Publish(t.Context(), "", m))
	queuetest.Eventually(t, "the announcement "+name+" is a dead letter", func() bool {
		letters, err := builds.New(i.q).DeadLetters(t.Context())
		queuetest.Must(t, err)
		for _, l := range letters {
			if strings.Contains(l.Reason, m.Build) {
				if !strings.Contains(l.Reason, says) {
					t.Errorf("%s: it says %q", name, l.Reason)
				}
				return true
			}
		}
		return false
	})
}

// TestAnAnnouncementIsHeldAgainstTheBuild announces what a build's record or its request does not bear out:
// each becomes a dead letter that says why, no fleet is touched, and the next image passes.
func TestAnAnnouncementIsHeldAgainstTheBuild(t *testing.T) {
	i, _ := installed(t, 0)
	fleets := []messages.FleetTarget{target("default", nil)}
	succeeded := func(r *messages.BuildRecord) { r.State, r.Image = messages.BuildStateSucceeded, image(7) }
	const never = 1 << 62
	honest := func() *messages.ImageReady {
		return &messages.ImageReady{
			BuildRef: messages.BuildRef{Build: "app-" + messages.NewID(), Pipeline: "app", Order: 1}, Image: image(7), Tag: "t", Fleets: fleets,
		}
	}
	for _, lie := range []struct {
		name, says string
		built      func(messages.BuildRef) // what is known of the build
		change     func(*messages.ImageReady)
	}{
		{"of a build that nobody knows", "no record", nil, nil},
		{"of a build that runs", "says running", func(b messages.BuildRef) { buildstest.Built(t, i.q, b, fleets, func(*messages.BuildRecord) {}) }, nil},
		{"of a build that failed", "says failed", func(b messages.BuildRef) {
			buildstest.Built(t, i.q, b, fleets, func(r *messages.BuildRecord) { r.State = messages.BuildStateFailed })
		}, nil},
		{"of another image", "the build's record", func(b messages.BuildRef) { buildstest.Built(t, i.q, b, fleets, succeeded) },
			func(m *messages.ImageReady) { m.Image = image(8) }},
		{"with an order that none will reach", "order 4611686018427387904", func(b messages.BuildRef) { buildstest.Built(t, i.q, b, fleets, succeeded) },
			func(m *messages.ImageReady) { m.Order = never }},
		{"of another pipeline", "of pipeline other", func(b messages.BuildRef) { buildstest.Built(t, i.q, b, fleets, succeeded) },
			func(m *messages.ImageReady) { m.Pipeline = "other" }},
		{"with an order that its record has, and no request", "the last one that was given", func(b messages.BuildRef) {
			buildstest.Built(t, i.q, b, fleets, func(r *messages.BuildRecord) { succeeded(r); r.Order, r.Request = never, never })
		}, func(m *messages.ImageReady) { m.Order = never }},
		{"with an order that its record has, and its request has not", "asks for something else", func(b messages.BuildRef) {
			buildstest.Built(t, i.q, b, fleets, func(r *messages.BuildRecord) { succeeded(r); r.Order = 2 })
		}, func(m *messages.ImageReady) { m.Order = 2 }},
		{"for a fleet that its request does not name", "other fleets", func(b messages.BuildRef) { buildstest.Built(t, i.q, b, nil, succeeded) }, nil},
		{"under the record of another build", "calls itself", func(b messages.BuildRef) {
			buildstest.Built(t, i.q, messages.BuildRef{Build: "app-other", Pipeline: "app", Order: 1}, fleets, succeeded)
			js := queuetest.JetStream(t, i.q)
			e, err := js.Stream(queuetest.Within(t), "KV_fenceline-builds")
			queuetest.Must(t, err)
			m, err := e.GetLastMsgForSubject(queuetest.Within(t), "$KV.fenceline-builds.app-other")
			queuetest.Must(t, err)
			_, err = js.Publish(queuetest.Within(t), "$KV.fenceline-builds."+b.Build, m.Data)
			queuetest.Must(t, err)
		}, nil},
	} {
		m := honest()
		if lie.built != nil {
			lie.built(m.BuildRef)
		}
		if lie.change != nil {
			lie.change(m)
		}
		i.disbelieves(t, m, lie.name, lie.says)
	}
	if all, err := store.Rollouts(i.q).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("rollouts were opened: %+v, %v", all, err)
	}
	i.announce(t, 20, target("default", nil))
	i.applied(t, "default", 20)
}

// TestTheRequestSaysThePolicy announces an image, and pins a base, as a builder does that doesn't know all fields of a policy.
func TestTheRequestSaysThePolicy(t *testing.T) {
	i, _ := installed(t, 0)
	asked := []messages.FleetTarget{target("default", func(p *messages.Policy) { p.Approval, p.PreloadBases = true, true })}
	known := []messages.FleetTarget{target("default", nil)}
	ref := messages.BuildRef{Build: build(1), Pipeline: "app", Order: 1}
	buildstest.Built(t, i.q, ref, asked, func(*messages.BuildRecord) {})
	queuetest.Must(t, i.q.Publish(t.Context(), "", &messages.BasePinned{
		BuildRef: ref, Attempt: 1, Bases: []messages.PinnedBase{{Source: "docker.io/library/base:latest", Image: image(99)}}, Fleets: known,
	}))
	i.fleet(t, "default", "to preload the base", func(r messages.FleetRecord) bool { return r.Bases != nil })
	buildstest.Built(t, i.q, ref, asked, func(r *messages.BuildRecord) { r.State, r.Image, r.Request = messages.BuildStateSucceeded, image(1), 1 })
	queuetest.Must(t, i.q.Publish(t.Context(), "", &messages.ImageReady{BuildRef: ref, Image: image(1), Tag: "t", Fleets: known}))
	r := until(t, store.Rollouts(i.q), messages.RolloutID("default", ref.Build), "the rollout", func(messages.RolloutRecord) bool { return true })
	if !r.Policy.Approval || !r.Ready.Fleets[0].Policy.Approval {
		t.Errorf("the rollout has the policy %+v, and %+v as it was announced", r.Policy, r.Ready.Fleets)
	}
}

// TestAClearedRequestIsWhatTheRecordKeeps announces images of builds whose requests were settled and cleared.
func TestAClearedRequestIsWhatTheRecordKeeps(t *testing.T) {
	i, _ := installed(t, 0)
	fleets := []messages.FleetTarget{target("default", nil)}
	other := messages.BuildRef{Build: "app-another", Pipeline: "app", Order: 9}
	buildstest.Built(t, i.q, other, fleets, func(*messages.BuildRecord) {}) // its request is the last one
	_, err := i.q.Purge(t.Context(), i.q.Space().RequestsStream(), i.q.Space().RequestSubject("app"), other.Order)
	queuetest.Must(t, err)
	kept := func(m *messages.ImageReady, change func(*messages.BuildRequested)) *messages.Message {
		request := buildstest.Request(m.Pipeline, 1)
		request.Build, request.Pipeline.Fleets = m.Build, fleets
		change(request)
		asked, err := messages.Encode(i.q.Envelope(m.Build, ""), request)
		queuetest.Must(t, err)
		return &asked
	}
	for n, test := range []struct {
		name, says string // says is why it is not believed; "" where it is
		pipeline   string
		order      uint64
		asked      func(*messages.BuildRequested) // nil: no request is kept
	}{
		{"of a record that keeps no request", "keeps none", "app", 1, nil},
		{"with the order of another build", "order 9 asks for something else", "app", 9, func(r *messages.BuildRequested) { r.Order = 9 }},
		{"with the order of another pipeline's", "order 9 asks for something else", "web", 9,
			func(r *messages.BuildRequested) { r.Order, r.Cause = 9, messages.CauseRetry }},
		{"with an order that was not asked for", "asks for something else", "app", 2, func(*messages.BuildRequested) {}},
		{"for a fleet that was not asked for", "other fleets", "app", 1, func(r *messages.BuildRequested) { r.Pipeline.Fleets = nil }},
		{"of a build as it was asked for", "", "app", 1, func(*messages.BuildRequested) {}},
		{"of a retry", "", "app", 9, func(r *messages.BuildRequested) { r.Order, r.Cause = 9, messages.CauseRetry }},
	} {
		m := &messages.ImageReady{
			BuildRef: messages.BuildRef{Build: test.pipeline + "-" + messages.NewID(), Pipeline: test.pipeline, Order: test.order},
			Image:    image(uint64(n + 1)), Tag: "t", Fleets: fleets,
		}
		_, err := store.Builds(i.q).Modify(t.Context(), m.Build, func(r *messages.BuildRecord) error {
			r.BuildRef, r.Request, r.State, r.Image = m.BuildRef, 1, messages.BuildStateSucceeded, m.Image
			if test.asked != nil {
				r.Asked = kept(m, test.asked)
			}
			return nil
		})
		queuetest.Must(t, err)
		if test.says != "" {
			i.disbelieves(t, m, test.name, test.says)
			continue
		}
		queuetest.Must(t, i.q.Publish(t.Context(), "", m))
		until(t, store.Rollouts(i.q), messages.RolloutID("default", m.Build), "the rollout "+test.name, func(messages.RolloutRecord) bool { return true })
	}
}

// TestBasesOfABuildWhoseRecordCanNotBeRead are a dead letter at once.
func TestBasesOfABuildWhoseRecordCanNotBeRead(t *testing.T) {
	i, _ := installed(t, 0)
	fleets := []messages.FleetTarget{target("default", func(p *messages.Policy) { p.PreloadBases = true })}
	_, err := queuetest.JetStream(t, i.q).Publish(queuetest.Within(t), "$KV.fenceline-builds.app-torn", []byte("{"))
	queuetest.Must(t, err)
	queuetest.Must(t, i.q.Publish(t.Context(), "", &messages.BasePinned{
		BuildRef: messages.BuildRef{Build: "app-torn", Pipeline: "app", Order: 1},
		Bases:    []messages.PinnedBase{{Source: "base", Image: image(7)}}, Fleets: fleets,
	}))
	queuetest.Eventually(t, "the event is a dead letter", func() bool {
		letters, err := builds.New(i.q).DeadLetters(t.Context())
		queuetest.Must(t, err)
		return len(letters) == 1 && strings.Contains(letters[0].Reason, "app-torn is not believed")
	})
}
