package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
)

// wrecked is what an answer of JetStream looks like where a record should be.
const wrecked = `{"stream":"KV_fenceline-nodes","seq":5}`

// failed runs a command that must fail, and returns what it says.
func failed(t *testing.T, args ...string) string {
	t.Helper()
	s := fenceline(t, args...)
	if s.status != ExitFailed {
		t.Errorf("fenceline %v ends with %d: %s", args, s.status, s.out)
	}
	return s.err
}

func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it does not say %q: %s", part, text)
		}
	}
}

// TestAWreckedFleetIsRepaired overwrites a fleet's record with what is none, or another's: that is said, and
// a command restores the last record that was one.
func TestAWreckedFleetIsRepaired(t *testing.T) {
	for name, body := range map[string]string{
		"an answer of JetStream": wrecked, "no JSON": "\x1b]52;c;x\x07{", "another fleet's record": `{"fleet":"staging","epoch":9}`, "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			c := installation(t)
			prepare(t, c)
			_, err := queuetest.JetStream(t, c).Publish(t.Context(), "$KV.fenceline-fleets.production", []byte(body))
			queuetest.Must(t, err)
			out := done(t, "status")
			has(t, out, "production", "fenceline fleets repair production", "its record can't be read", "base-cccccccc")
			if strings.Contains(out, "\x1b") {
				t.Error("it prints what a terminal obeys")
			}
			has(t, failed(t, "rollback", "production", "--wait", "0"), "can't be read")
			has(t, failed(t, "promote", imageTwo.Digest(), "--wait", "0"), "can't be read")
			has(t, done(t, "fleets", "repair", "production"), "production: repaired: record of", "restored")
			f, err := store.Fleets(c).Get(t.Context(), "production")
			queuetest.Must(t, err)
			if r := f.Value; r.Current.Image != imageOne || r.Epoch != 3 || r.Highest != 11 || r.Hold == nil || r.Mended == nil || r.Mended.By == "" {
				t.Errorf("the record is %+v", r)
			}
			if out := done(t, "status"); strings.Contains(out, "repair production") || !strings.Contains(out, "set right by") {
				t.Errorf("status says %s", out)
			}
			has(t, failed(t, "fleets", "repair", "production"), "it can be read")
		})
	}
}

func TestAFleetOfWhichNothingIsLeftIsMadeAnew(t *testing.T) {
	c := installation(t)
	create(t, store.Rollouts(c), "staging-x", messages.RolloutRecord{
		ID: "staging-x", Fleet: "staging", State: messages.RolloutDone, FlippedAt: noon(), Ready: messages.ImageReady{BuildRef: messages.BuildRef{Build: "x", Order: 7}},
	})
	_, err := queuetest.JetStream(t, c).Publish(t.Context(), "$KV.fenceline-fleets.staging", []byte(wrecked))
	queuetest.Must(t, err)
	has(t, done(t, "fleets", "repair", "staging"), "made anew")
	f, err := store.Fleets(c).Get(t.Context(), "staging")
	queuetest.Must(t, err)
	if r := f.Value; r.Hold == nil || r.Highest != 7 || r.ID == "" {
		t.Errorf("the record is %+v", r)
	}
	has(t, failed(t, "fleets", "repair", "nowhere"), `no fleet "nowhere"`)
}

// TestAnOrderIsSetRight frees a fleet of an order that no image reaches.
func TestAnOrderIsSetRight(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	buildstest.Built(t, c, messages.BuildRef{Build: "base-ffffffff", Pipeline: "base", Order: 20}, nil, func(*messages.BuildRecord) {})
	_, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error { r.Highest = 1 << 62; return nil })
	queuetest.Must(t, err)
	has(t, failed(t, "fleets", "order", "production", "21"), "no request has order 21", "is 20")
	has(t, failed(t, "fleets", "order", "production", "10"), "older than the fleet's", "had order 11", "--force")
	if s := fenceline(t, "fleets", "order", "production", "many"); s.status != ExitUsage {
		t.Errorf("a word for an order: %+v", s)
	}
	has(t, done(t, "fleets", "order", "production", "11"), "production: highest order set from 4611686018427387904 to 11")
	has(t, failed(t, "fleets", "order", "production", "11"), "it is 11 already")
	has(t, done(t, "status"), "set right by", "to 11")
	has(t, done(t, "fleets", "order", "production", "3", "--force"), "from 11 to 3")
	f, err := store.Fleets(c).Get(t.Context(), "production")
	if err != nil || f.Value.Highest != 3 || f.Value.Mended.By == "" {
		t.Errorf("the record is %+v, %v", f.Value, err)
	}
}

// TestANodeSpeaksForItselfAlone has one node's heartbeats name each member in turn: they are refused and
// said, and make no quorum.
func TestANodeSpeaksForItselfAlone(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	js := queuetest.JetStream(t, c)
	beats := func(stop <-chan struct{}) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := uint64(1); ; n++ {
			body, err := json.Marshal(messages.NodeStatus{
				Fleet: "production", Node: fmt.Sprintf("node-%d", n%2+1), Instance: "i", Beat: n, Interval: messages.Duration(100 * time.Millisecond),
				Images: []messages.PresentImage{{Image: imageTwo, ID: "sha256:bb", Local: "two"}}, Engine: messages.Engine{Name: "docker"},
			})
			if err == nil {
				_, err = js.Publish(t.Context(), "$KV.fenceline-nodes.production.node-9", body)
			}
			if err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}
	queuetest.Must(t, store.NewNode(c).Heartbeat(t.Context(), &messages.NodeStatus{ // three of its intervals are waited for
		Fleet: "production", Node: "node-1", Instance: "own", Beat: 1, Interval: messages.Duration(100 * time.Millisecond),
	}))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); beats(stop) }()
	said := failed(t, "promote", "production", imageTwo.Digest(), "--wait", "0")
	has(t, said, "the image is not present on enough nodes", "node-1", "node-2")
	close(stop)
	<-ended
	has(t, done(t, "status"), "record production.node-9 of fenceline-nodes is passed over", "calls itself")
	for _, n := range decoded[[]overview.Node](t, "nodes") {
		if n.Node != "node-1" && n.Node != "node-2" || n.Status != nil && n.Status.Instance == "i" {
			t.Errorf("a node is shown as %+v", n)
		}
	}
}
