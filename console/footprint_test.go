package console

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finds is freed by the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// read is a record as it is read: decoded, and sharing nothing.
func read[T any](t *testing.T, v T) (out T) {
	t.Helper()
	b, err := json.Marshal(v)
	queuetest.Must(t, err)
	queuetest.Must(t, json.Unmarshal(b, &out))
	return out
}

// TestWhatIsKeptOfANode is little, as a fleet has ten thousand of them: what they all say the same is there once.
func TestWhatIsKeptOfANode(t *testing.T) {
	const nodes = 5000
	s := newSeen(nil)
	s.seeFleet(queue.Entry[messages.FleetRecord]{Key: "production", Revision: 1, Value: messages.FleetRecord{Fleet: "production", Current: messages.FleetImage{Image: imageOf(2)}}})
	before := heap()
	for beat := range 2 {
		for n := range nodes {
			name := fmt.Sprintf("node-%05d", n)
			s.seeMember(queue.Entry[messages.Member]{Key: messages.NodeKey("production", name), Value: read(t, messages.Member{Fleet: "production", Node: name})})
			v := read(t, status("production", name, func(v *messages.NodeStatus) {
				v.Beat = uint64(beat)
				for c := range 10 {
					v.Containers = append(v.Containers, messages.ContainerUse{Container: fmt.Sprintf("app-%d", c), Image: "fenceline/production:a"})
				}
			}))
			s.seeBeat(queue.Entry[messages.NodeStatus]{Key: messages.NodeKey("production", name), Value: v, Created: time.Now()})
		}
		s.settle()
	}
	if each := (heap() - before) / nodes; each > 2000 {
		t.Errorf("a node takes %d bytes", each)
	}
	n := s.fleets["production"].nodes["node-00042"]
	if want := status("production", "node-00042", nil); n.Status.Images[1] != want.Images[1] || n.Status.Containers[9].Container != "app-9" || n.Status.Labels["rack"] != "a" || n.Status.Engine != want.Engine {
		t.Errorf("of a node is kept %+v", n.Status)
	}
}

// TestWhatIsSharedIsBounded, whatever nodes say.
func TestWhatIsSharedIsBounded(t *testing.T) {
	var kept texts
	before := heap()
	for n := range 100_000 {
		v := messages.NodeStatus{
			Version: fmt.Sprint(n), Labels: map[string]string{"label": fmt.Sprint(n)}, Containers: []messages.ContainerUse{{Container: fmt.Sprintf("app-%d", n), Image: strings.Repeat("x", 1000)}},
		}
		kept.keep(&v)
		if v.Version != fmt.Sprint(n) || v.Labels["label"] != fmt.Sprint(n) || len(v.Containers[0].Image) != 1000 {
			t.Fatalf("node %d is %+v", n, v)
		}
	}
	if more := heap() - before; more > 8<<20 || kept.bytes > textsMost {
		t.Errorf("%d bytes are kept, %d of texts", more, kept.bytes)
	}
	if a, b := kept.set(map[string]string{"a": "b", "c": "d"}), kept.set(map[string]string{"c": "d", "a": "b"}); fmt.Sprintf("%p", a) != fmt.Sprintf("%p", b) {
		t.Error("labels that are alike are there twice")
	}
	if a, b := kept.set(map[string]string{"a": "b"}), kept.set(map[string]string{"a": "c"}); a["a"] != "b" || b["a"] != "c" || kept.set(nil) != nil {
		t.Errorf("labels are %v and %v", a, b)
	}
	if b := kept.set(map[string]string{"rack": "a", "zone": "b"}); kept.set(map[string]string{"rack": "a\x00zone\x00b"})["zone"] != "" || b["zone"] != "b" {
		t.Error("labels of one node are made into those of another")
	}
	runtime.KeepAlive(kept)
}

// TestWhatIsKeptOfAnEndedBuild is less than what its row shows.
func TestWhatIsKeptOfAnEndedBuild(t *testing.T) {
	const builds = 10_000
	l := newEndedBuilds(nil, func(*messages.BuildRecord) {})
	before := heap()
	for n := range builds {
		r := messages.BuildRecord{
			BuildRef: messages.BuildRef{Build: fmt.Sprintf("base-%05d", n), Pipeline: "base", Order: uint64(n)}, State: messages.BuildStateSucceeded, Attempt: 1, Worker: "b1", Request: uint64(n),
			Commit: buildstest.Commit(n), Ref: "refs/heads/main", Cause: messages.CausePush, By: "ann", Updated: time.Now(), Took: messages.Duration(time.Minute), Image: imageOf(n),
			Reason: &messages.Reason{Kind: messages.ReasonPush, Detail: "github", Link: fmt.Sprintf("https://forge.example.com/deliveries/%d", n)},
		}
		if n%10 == 9 {
			r.State, r.Failure = messages.BuildStateFailed, &messages.Failure{Class: messages.FailureUser, Reason: "RUN make: exit status 2", Detail: strings.Repeat("make: *** ", 100)}
		}
		r = read(t, r)
		l.add(uint64(n+1), &r)
	}
	l.trim()
	if each := (heap() - before) / builds; each > 500 {
		t.Errorf("a build takes %d bytes", each)
	}
	if p := l.page(&buildFilter{Text: "deliveries/41", State: string(messages.BuildStateSucceeded), Page: 1}); p.Total != 100 {
		t.Errorf("%d of them are found", p.Total)
	}
}
