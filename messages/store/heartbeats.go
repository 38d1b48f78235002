package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// ErrTwin tells that a heartbeat is stored, and that somebody else has stored one under the same
// node's name since this node's last.
var ErrTwin = errors.New("somebody else sends heartbeats under this node's name")

// Node is a node's way to its installation, with no more rights than a node has.
type Node struct {
	*queue.Client

	mu   sync.Mutex
	last map[string]uint64 // the revisions of the heartbeats that it stored last, by node key
}

// NewNode is the way by a client.
func NewNode(c *queue.Client) *Node { return &Node{Client: c, last: map[string]uint64{}} }

// ReadFleet is the function of that name.
func (n *Node) ReadFleet(ctx context.Context, fleet string) (messages.FleetChanged, error) {
	return ReadFleet(ctx, n.Client, fleet)
}

// WatchFleet is the function of that name.
func (n *Node) WatchFleet(ctx context.Context, fleet string, fn func(messages.FleetChanged)) error {
	return WatchFleet(ctx, n.Client, fleet, fn)
}

// replaceLast notes the revision of the last heartbeat, and returns that of the one before.
func (n *Node) replaceLast(key string, revision uint64) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.last[key]
	n.last[key] = revision
	return before
}

// Heartbeat stores a node's status. It expects its own last one to be there, or none: a node may
// not read what is, but it is told that another was, with ErrTwin.
func (n *Node) Heartbeat(ctx context.Context, s *messages.NodeStatus) error {
	key := messages.NodeKey(s.Fleet, s.Node)
	failed := func(err error) error { return fmt.Errorf("sending the heartbeat of node %s: %w", s.Node, err) }
	body, err := json.Marshal(s)
	if err != nil {
		return failed(err)
	}
	subject, m := Nodes(n.Client).Subject(key), messages.Message{Body: body}
	last := n.replaceLast(key, 0) // until the answer is here it is not known which is the last
	var extra []queue.Header
	if last > 0 {
		extra = []queue.Header{queue.Expect(last)}
	}
	revision, err := n.Store(ctx, subject, m, extra...)
	twin := false
	if errors.Is(err, queue.ErrMoved) {
		// Another message is there, unless the last has expired or the bucket is a new one.
		there, known := queue.LastSequence(err)
		twin = known && there > 0
		revision, err = n.Store(ctx, subject, m)
	}
	if err != nil {
		return failed(err)
	}
	n.replaceLast(key, revision)
	if twin {
		return failed(ErrTwin)
	}
	return nil
}
