package cli

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// poisoner fills what is empty in a value with hostile text, and takes back what still can't be so.
type poisoner struct {
	still func() bool
	count int
}

// poisoned is a value of which every text that was empty is hostile, however deep it lies.
func poisoned[T any](t *testing.T, v T, still func(*T) bool) T {
	t.Helper()
	p := &poisoner{still: func() bool { return still == nil || still(&v) }}
	p.fill(reflect.ValueOf(&v).Elem(), 0)
	if p.count == 0 {
		t.Errorf("nothing of %T is hostile", v)
	}
	return v
}

// try sets a value, fills it, and sets it back where that can't be.
func (p *poisoner) try(v, to reflect.Value, depth int) {
	was := reflect.ValueOf(v.Interface())
	if !was.IsValid() {
		was = reflect.Zero(v.Type())
	}
	v.Set(to)
	p.fill(v, depth)
	if !p.still() {
		v.Set(was)
	}
}

// fill fills what is empty.
func (p *poisoner) fill(v reflect.Value, depth int) {
	if depth > 8 || !v.CanSet() {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(noon()))
		return
	case messages.Message: // its body is another value's
		return
	}
	switch v.Kind() {
	case reflect.String:
		if v.Len() == 0 {
			v.SetString(hostile)
			if !p.still() {
				v.SetString("")
				return
			}
			p.count++
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				p.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			p.try(v, reflect.New(v.Type().Elem()), depth+1)
			return
		}
		p.fill(v.Elem(), depth+1)
	case reflect.Slice:
		if v.Len() == 0 && v.Type().Elem().Kind() != reflect.Uint8 {
			p.try(v, reflect.MakeSlice(v.Type(), 1, 1), depth)
			return
		}
		for i := range v.Len() {
			p.fill(v.Index(i), depth+1)
		}
	case reflect.Map:
		if v.Len() > 0 || v.Type().Key().Kind() != reflect.String {
			return
		}
		value := reflect.New(v.Type().Elem()).Elem()
		(&poisoner{still: func() bool { return true }}).fill(value, depth+1)
		was := v.Interface()
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(hostile).Convert(v.Type().Key()), value)
		if !p.still() {
			v.Set(reflect.ValueOf(was))
		}
	}
}

// poison writes a record of each kind, and publishes each message, with hostile text in every field that is not a name by which it
// is found. It returns what builds, rollouts and nodes are called.
func poison(t *testing.T, c *queue.Client) (builds, rollouts []string) {
	t.Helper()
	for i, state := range []messages.BuildState{
		messages.BuildStateRunning, messages.BuildStateSucceeded, messages.BuildStateFailed, messages.BuildStateSuperseded, messages.BuildStateCancelled, messages.BuildStateUnchanged,
	} {
		id := fmt.Sprintf("base-poison%c%c", 'g', 'g'+i)
		builds = append(builds, id)
		create(t, store.Builds(c), id, poisoned(t, messages.BuildRecord{BuildRef: messages.BuildRef{Build: id, Pipeline: "base", Order: uint64(40 + i)}, State: state, Announced: true}, nil))
	}
	create(t, store.Fleets(c), "staging", poisoned(t, messages.FleetRecord{Fleet: "staging", Epoch: 3}, nil))
	for _, state := range []messages.RolloutState{messages.RolloutFailed, messages.RolloutApproval, messages.RolloutDone, messages.RolloutHeld} {
		id := "staging-base-" + strings.ReplaceAll(string(state), "_", "")
		rollouts = append(rollouts, id)
		create(t, store.Rollouts(c), id, poisoned(t, messages.RolloutRecord{ID: id, Fleet: "staging", State: state}, nil))
	}
	create(t, store.Members(c), messages.NodeKey("staging", "node-9"), messages.Member{Fleet: "staging", Node: "node-9"}) // it has no text
	status := poisoned(t, messages.NodeStatus{Fleet: "staging", Node: "node-9", Interval: messages.Duration(time.Hour)}, nil)
	if err := store.NewNode(c).Heartbeat(t.Context(), &status); err != nil {
		t.Fatal(err)
	}
	base, poll := poisoned(t, messages.BaseLook{}, nil), poisoned(t, messages.RepositoryPoll{Repository: "https://git.example.com/base.git"}, nil)
	create(t, store.BaseLooks(c), messages.BaseKey(base.Source), base)
	create(t, store.Polls(c), messages.PollKey(poll.Repository, poll.TokenName), poll)
	create(t, store.ForgeProblems(c), messages.ForgeProblemKey("base"), poisoned(t, messages.ForgeProblem{Pipeline: "base"}, nil))
	create(t, store.Sinks(c), messages.SinkKey("chat"), poisoned(t, messages.SinkRecord{Sink: "chat"}, nil))
	ref := messages.BuildRef{Build: builds[0], Pipeline: "base", Order: 40}
	count := 0
	for _, m := range []messages.Payload{
		&messages.BuildStarted{BuildRef: ref, Attempt: 1}, &messages.BuildLog{BuildRef: ref, Attempt: 1}, &messages.BasePinned{BuildRef: ref, Attempt: 1, Bases: []messages.PinnedBase{{Source: hostile + ":1", Image: imageOne}}},
		&messages.ImageReady{BuildRef: ref, Image: imageTwo, HooksDir: "/h"}, &messages.BuildFailed{BuildRef: ref, Failure: messages.Failure{Class: messages.FailureUser}},
		&messages.BuildSuperseded{BuildRef: ref}, &messages.BuildCancelled{BuildRef: ref},
		&messages.NodeFailed{Fleet: "staging", Node: "node-9"}, &messages.TrialFinished{Fleet: "staging", Node: "node-9", Rollout: "r"},
		&messages.RolloutChanged{Fleet: "staging", Rollout: "r"}, &messages.DeadLetter{Stream: "poison", Sequence: 1},
		&messages.CallsAudited{}, &messages.RefusalsCounted{}, &messages.DecisionMade{Action: "hold", Outcome: messages.OutcomeRefused},
	} {
		p := &poisoner{still: func() bool { _, err := messages.Encode(c.Envelope("x", ""), m); return err == nil }}
		p.fill(reflect.ValueOf(m).Elem(), 0)
		count += p.count
		publish(t, c, m)
	}
	if count < 30 {
		t.Errorf("of messages only %d fields are hostile", count)
	}
	return builds, rollouts
}

// TestNoFieldOfARecordReachesATerminal runs every command that shows records over such that are hostile in every field.
func TestNoFieldOfARecordReachesATerminal(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	builds, rollouts := poison(t, c)
	answered(t, c, hostile) // no controller is there to be waited for
	lines := [][]string{
		{"status"}, {"builds"}, {"nodes"}, {"nodes", "staging"}, {"nodes", "show", "staging", "node-9"}, {"nodes", "retire", "staging", "node-9"}, {"rollouts"}, {"rollouts", "staging"},
		{"history", "staging"}, {"trace", "node-9"}, {"audit"}, {"audit", "--known"}, {"dead-letters", "list"}, {"dead-letters", "show", "poison-1"},
		{"dead-letters", "requeue", "poison-1"}, {"hold", "staging"}, {"release", "staging"}, {"rollback", "staging"}, {"promote", "staging", imageTwo.Digest()},
		{"fleets", "repair", "staging"}, {"fleets", "order", "staging", "1"}, {"config", "get", "fence", "docker/image", "--fleet", "staging"}, {"config", "set", "fence", "docker/image", "x", "--fleet", "staging"}, {"status", "--wait-for", "done", builds[1]},
		{"diff", builds[1]}, {"diff", "staging"}, {"sinks", "list"},
	}
	for i, id := range builds {
		if lines = append(lines, []string{"builds", "show", id}, []string{"trace", id, "--all"}, []string{"logs", id}); i < 3 {
			lines = append(lines, []string{"cancel", id}, []string{"retry", id})
		}
	}
	for _, id := range rollouts {
		lines = append(lines, []string{"rollouts", "show", id}, []string{"approve", id}, []string{"abort", id})
	}
	for _, line := range lines {
		tryHostile(t, line)
		if cmd, _, err := NewRoot().Find(line); err == nil && cmd.Flags().Lookup("output") != nil {
			tryHostile(t, append(line, "-o", "json"))
		}
	}
}
