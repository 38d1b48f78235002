package controller

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// beatOfN1 is one of node n1 with an image.
func beatOfN1(revision uint64, earlier bool, image uint64) queue.Entry[messages.NodeStatus] {
	return queue.Entry[messages.NodeStatus]{
		Key: messages.NodeKey("default", "n1"), Revision: revision, Earlier: earlier,
		Value: messages.NodeStatus{
			Fleet: "default", Node: "n1", Revision: 1, Beat: revision, Interval: messages.Duration(time.Hour),
			Images: []messages.PresentImage{{Image: testImage(image)}}, Work: &messages.NodeWork{State: messages.WorkDone},
		},
	}
}

// numbered gives a heartbeat another revision, as a bucket does that was lost and made anew.
func numbered(revision uint64, e queue.Entry[messages.NodeStatus]) queue.Entry[messages.NodeStatus] {
	e.Revision = revision
	return e
}

func restarted(e queue.Entry[messages.NodeStatus]) queue.Entry[messages.NodeStatus] {
	e.Value.Instance = "again"
	return e
}

// of is a heartbeat of another start of the distributor.
func of(instance string, e queue.Entry[messages.NodeStatus]) queue.Entry[messages.NodeStatus] {
	e.Value.Instance = instance
	return e
}

// TestTwoNodesWithOneName tells distributors that live side by side from one that was started again.
func TestTwoNodesWithOneName(t *testing.T) {
	for name, test := range map[string]struct {
		instances []string // in the order of their heartbeats
		twin      bool
		fresh     bool
	}{
		"one":                                  {[]string{"a", "a", "a"}, false, true},
		"started again":                        {[]string{"a", "b", "b"}, false, true},
		"started again and again":              {[]string{"a", "b", "c", "d"}, false, true},
		"two in turns":                         {[]string{"a", "b", "a"}, true, false},
		"two of which one is rare":             {[]string{"a", "a", "a", "b", "a", "a"}, true, false},
		"three in turns":                       {[]string{"a", "b", "c", "a"}, true, false},
		"a predecessor's last, which was late": {[]string{"a", "b", "a", "b"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newViews(nil)
				for n, i := range test.instances {
					v.seeBeat(of(i, beatOfN1(uint64(n+1), false, 1)))
				}
				look := func() decide.Node {
					s, _, _ := v.snapshot("default", &decide.Clocks{})
					return s.Nodes["n1"]
				}
				if n := look(); n.Twin != test.twin || n.Fresh != test.fresh || n.Has(testImage(1)) != test.fresh {
					t.Errorf("twin %v, fresh %v", n.Twin, n.Fresh)
				}
				last := test.instances[len(test.instances)-1]
				<-time.After(decide.MissedBeats*time.Hour - time.Minute) // in which only one is heard
				v.seeBeat(of(last, beatOfN1(100, false, 1)))
				if n := look(); n.Fresh != test.fresh {
					t.Errorf("before the other has been silent for long enough: fresh %v", n.Fresh)
				}
				<-time.After(2 * time.Minute)
				if n := look(); n.Twin || !n.Fresh || !n.Has(testImage(1)) {
					t.Errorf("once the other is gone: twin %v, fresh %v", n.Twin, n.Fresh)
				}
			})
		})
	}
}

// TestANodeThatSaysItIsTwo does not count either: a controller that has just started has not seen
// enough to know.
func TestANodeThatSaysItIsTwo(t *testing.T) {
	v := newViews(nil)
	e := beatOfN1(1, false, 1)
	e.Value.Twin = true
	v.seeBeat(e)
	if s, _, _ := v.snapshot("default", &decide.Clocks{}); s.Nodes["n1"].Fresh || !s.Nodes["n1"].Twin {
		t.Errorf("it is %+v", s.Nodes["n1"])
	}
}

func TestWhatAHeartbeatIsWorth(t *testing.T) {
	v := newViews(nil)
	changed, done := v.subscribe("default")
	defer done()
	for _, c := range []struct {
		name  string
		beat  queue.Entry[messages.NodeStatus]
		fresh bool
		wakes bool
	}{
		{"one from before this controller has no known age", beatOfN1(1, true, 1), false, true},
		{"one that comes now is fresh", beatOfN1(2, false, 1), true, true},
		{"one that says the same wakes nobody", beatOfN1(3, false, 1), true, false},
		{"one that names another image does", beatOfN1(4, false, 2), true, true},
		{"given again after an interruption it is no older", beatOfN1(4, true, 2), true, false},
		{"one that was sent in an interruption has no known age", beatOfN1(5, true, 2), false, true},
		{"until the next", beatOfN1(6, false, 2), true, true},
		{"one of a new bucket may have the revision of the one before", numbered(6, beatOfN1(7, false, 3)), true, true},
		{"a distributor that starts again counts anew", restarted(beatOfN1(7, false, 2)), true, true},
	} {
		v.seeBeat(c.beat)
		woken := false
		select {
		case <-changed:
			woken = true
		default:
		}
		s, _, _ := v.snapshot("default", &decide.Clocks{})
		if got := s.Nodes["n1"]; got.Fresh != c.fresh || woken != c.wakes || got.Status.Beat != c.beat.Value.Beat || got.Status.Instance != c.beat.Value.Instance {
			t.Errorf("%s: fresh %v, wakes %v", c.name, got.Fresh, woken)
		}
	}
}

// TestAMemberThatWasRetiredMeanwhile is written or read beside the watch, which tells before that is taken in
// that it was retired.
func TestAMemberThatWasRetiredMeanwhile(t *testing.T) {
	n1 := func(revision uint64, deleted bool) queue.Entry[messages.Member] {
		return queue.Entry[messages.Member]{Key: messages.NodeKey("default", "n1"), Revision: revision, Deleted: deleted}
	}
	type see struct {
		revision uint64
		deleted  bool
		beside   bool // the watch
	}
	for _, c := range []struct {
		name            string
		seen            []see
		member, retired bool
	}{
		{"written, and then told", []see{{3, false, true}, {3, false, false}}, true, false},
		{"told, and then written", []see{{3, false, false}, {3, false, true}}, true, false},
		{"written, and its retirement told first", []see{{3, false, false}, {4, true, false}, {3, false, true}}, false, true},
		{"written anew after its retirement", []see{{3, false, false}, {4, true, false}, {5, false, true}}, true, false},
		{"read as retired before the watch tells", []see{{3, false, false}, {4, true, true}}, false, true},
		{"read as retired, and a member again", []see{{3, false, false}, {5, false, false}, {4, true, true}}, true, false},
		{"retired, of a bucket that was not watched", []see{{4, true, true}}, false, true},
		{"written into a bucket that was lost", []see{{3, false, false}, {0, true, false}, {4, false, true}}, false, false},
		{"of the bucket after that", []see{{3, false, false}, {0, true, false}, {1, false, false}}, true, false},
		{"noted as silent there", []see{{3, false, false}, {0, true, false}, {1, false, false}, {2, false, true}}, true, false},
		{"retired there", []see{{3, false, false}, {0, true, false}, {1, false, false}, {2, true, false}}, false, true},
	} {
		v := newViews(nil)
		for _, s := range c.seen {
			take := v.seeMember
			if s.beside {
				take = v.noteMember
			}
			take(n1(s.revision, s.deleted))
		}
		s, _, _ := v.snapshot("default", &decide.Clocks{})
		if member := len(s.Members) > 0; member != c.member || s.Retired["n1"] != c.retired {
			t.Errorf("%s: member %v, retired %v", c.name, member, s.Retired["n1"])
		}
	}
}

// TestAFleetRecordWhoseBucketStartsOver is seen at lower revisions: where the watch finds it, and where the leader has
// it after a write into the bucket before came in late.
func TestAFleetRecordWhoseBucketStartsOver(t *testing.T) {
	fleet := func(revision, epoch uint64) queue.Entry[messages.FleetRecord] {
		return queue.Entry[messages.FleetRecord]{
			Key: "default", Revision: revision, Created: time.Unix(int64(epoch), 0), Value: messages.FleetRecord{Fleet: "default", Epoch: epoch},
		}
	}
	found := func(e queue.Entry[messages.FleetRecord]) queue.Entry[messages.FleetRecord] {
		e.Earlier = true
		return e
	}
	gone := queue.Entry[messages.FleetRecord]{Key: "default", Deleted: true}
	v := newViews(nil)
	for _, c := range []struct {
		name     string
		see      func()
		revision uint64
		epoch    uint64
	}{
		{"as it was", func() { v.seeFleet(fleet(25, 1)) }, 25, 1},
		{"an older one that comes late", func() { v.seeFleet(fleet(24, 9)) }, 25, 1},
		{"a lower one that the watch finds when it begins anew", func() { v.seeFleet(found(fleet(5, 2))) }, 5, 2},
		{"another one of the same revision", func() { v.seeFleet(found(fleet(5, 3))) }, 5, 3},
		{"with the bucket gone", func() { v.seeFleet(gone) }, 0, 0},
		{"a write of ours into it that comes in late", func() { v.seeFleet(fleet(6, 4)) }, 6, 4},
		{"what the watch tells then", func() { v.seeFleet(fleet(1, 5)) }, 6, 4},
		{"as the leader has it, read before another was seen", func() { v.readFleet(fleet(1, 5), 5) }, 6, 4},
		{"as the leader has it", func() { v.readFleet(fleet(1, 5), 6) }, 1, 5},
		{"a newer one that the leader has", func() { v.readFleet(fleet(3, 6), 1) }, 3, 6},
		{"that the leader had none before that", func() { v.readFleet(gone, 1) }, 3, 6},
		{"that the leader has none", func() { v.readFleet(gone, 3) }, 0, 0},
	} {
		c.see()
		s, revision, _ := v.snapshot("default", &decide.Clocks{})
		if revision != c.revision || s.Record.Epoch != c.epoch {
			t.Errorf("%s: revision %d, epoch %d", c.name, revision, s.Record.Epoch)
		}
	}
}
