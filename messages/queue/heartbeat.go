package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrTwin tells that a heartbeat is stored, and that somebody else has stored one under the same
// node's name since this client's last.
var ErrTwin = errors.New("somebody else sends heartbeats under this node's name")

// beats are the revisions of the heartbeats that this client stored last, by node key.
type beats struct {
	mu   sync.Mutex
	last map[string]uint64
}

func (b *beats) get(key string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[key]
}

func (b *beats) set(key string, revision uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == nil {
		b.last = map[string]uint64{}
	}
	b.last[key] = revision
}

// Heartbeat stores a node's status, with no more rights than the node has. It expects its own last
// one to be there, or none: a node may not read what is, but it is told that another was.
func (c *Client) Heartbeat(ctx context.Context, s *messages.NodeStatus) error {
	key := messages.NodeKey(s.Fleet, s.Node)
	failed := func(err error) error { return fmt.Errorf("sending the heartbeat of node %s: %w", s.Node, err) }
	body, err := json.Marshal(s)
	if err != nil {
		return failed(err)
	}
	subject, m := Nodes(c).subject(key), messages.Message{Body: body}
	last := c.beats.get(key)
	c.beats.set(key, 0) // until the answer is here it is not known which is the last
	var extra []header
	if last > 0 {
		extra = []header{expect(last)}
	}
	revision, err := c.store(ctx, subject, m, extra...)
	twin := false
	if errors.Is(err, ErrMoved) {
		twin = moved(err)
		revision, err = c.store(ctx, subject, m)
	}
	if err != nil {
		return failed(err)
	}
	c.beats.set(key, revision)
	if twin {
		return failed(ErrTwin)
	}
	return nil
}

// wrongSequence is how the server names the last sequence of a subject where another was expected.
var wrongSequence = regexp.MustCompile(`wrong last sequence: (\d+)`)

// moved tells whether the server says that there is another message. It says 0 where there is none,
// because the last has expired or the bucket is a new one, and no number where it doesn't know yet.
func moved(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	m := wrongSequence.FindStringSubmatch(api.Description)
	if m == nil {
		return false
	}
	n, err := strconv.ParseUint(m[1], 10, 64)
	return err == nil && n > 0
}
