package controller

import (
	"reflect"
	"slices"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/messages"
)

// heartbeat is a node's last heartbeat.
type heartbeat struct {
	status messages.NodeStatus
	at     time.Time // when it came, by this controller's clock; zero for one sent while this controller did not listen, whose age nobody knows
	twin   time.Time // until then the node counts as two with one name
	others []string  // the instances that beat under this name before, the newest last
}

// fresh tells whether the heartbeat counts: it is recent, and of the only node with this name. Of two
// nodes with one name nobody knows which said what.
func (b heartbeat) fresh(now time.Time) bool {
	return !b.at.IsZero() && now.Sub(b.at) <= decide.MissedBeats*b.status.Interval.Std() && !b.isTwo(now)
}

// isTwo tells whether two nodes have this name: the node says so, or this controller has seen it.
func (b heartbeat) isTwo(now time.Time) bool { return b.status.Twin || now.Before(b.twin) }

// maxInstances bounds how many earlier instances of a node are remembered.
const maxInstances = 8

// inherit takes over what the node's heartbeats before said of its instances. A distributor that was
// started again has a new instance. An instance that beats again after another one did lives beside
// that: the name has two nodes.
func (b *heartbeat) inherit(old heartbeat, now time.Time) {
	b.twin, b.others = old.twin, old.others
	if b.status.Instance == old.status.Instance {
		return
	}
	if slices.Contains(old.others, b.status.Instance) {
		b.twin = now.Add(decide.MissedBeats * max(b.status.Interval.Std(), old.status.Interval.Std()))
	}
	b.others = slices.DeleteFunc(slices.Clone(old.others), func(i string) bool { return i == b.status.Instance })
	b.others = append(b.others, old.status.Instance)
	b.others = b.others[max(0, len(b.others)-maxInstances):]
}

// isNews tells whether the heartbeat differs from the one before in anything that decisions rest on,
// such as that the node lives again.
func (b heartbeat) isNews(before heartbeat) bool {
	was, is := &before.status, &b.status
	return before.fresh(b.at) != b.fresh(b.at) || !slices.Equal(was.Images, is.Images) || !reflect.DeepEqual(was.Work, is.Work) ||
		was.Engine.Error != is.Engine.Error || was.Engine.ID != is.Engine.ID || !slices.Equal(was.Problems, is.Problems) || !reflect.DeepEqual(was.Applied, is.Applied) || (was.Revision == 0) != (is.Revision == 0)
}
