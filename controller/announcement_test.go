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
		{"without the approval that its request asks for", "another policy", func(b messages.BuildRef) {
			buildstest.Built(t, i.q, b, []messages.FleetTarget{target("default", func(p *messages.Policy) { p.Approval = true })}, succeeded)
		}, nil},
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
		queuetest.Must(t, i.q.Publish(t.Context(), "", m))
		queuetest.Eventually(t, "the announcement "+lie.name+" is a dead letter", func() bool {
			letters, err := builds.New(i.q).DeadLetters(t.Context())
			queuetest.Must(t, err)
			for _, l := range letters {
				if strings.Contains(l.Reason, m.Build) {
					if !strings.Contains(l.Reason, lie.says) {
						t.Errorf("%s: it says %q", lie.name, l.Reason)
					}
					return true
				}
			}
			return false
		})
	}
	if all, err := store.Rollouts(i.q).List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("rollouts were opened: %+v, %v", all, err)
	}
	i.announce(t, 20, target("default", nil))
	i.applied(t, "default", 20)
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
