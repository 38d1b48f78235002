package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/e2e/invariants"
)

// heartbeats are read for as long as the shape runs, since NATS keeps only the last of each node.
// They are read from the bucket's stream by its sequence, so that each one that was missed is known, and
// from every server by a reader of its own, so that those of the others go on where one ends.
type heartbeats struct {
	seen invariants.Heartbeats
	stop context.CancelFunc
	wait sync.WaitGroup

	mu   sync.Mutex
	work map[string]nodeWork // of each node, in its last one
}

// heartbeat is what counts of a node's.
type heartbeat struct {
	Node, Instance string
	Beat           uint64
	Images         []struct{ Image string }
	Work           nodeWork
}

// nodeWork is what a node does.
type nodeWork struct{ Rollout, Image, State string }

// begin begins to read, and goes on whatever happens to NATS until end is called.
func (h *heartbeats) begin(servers []string, options ...nats.Option) error {
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.work = stop, map[string]nodeWork{}
	for _, url := range servers {
		r := reader{heartbeats: h, lost: make(chan struct{}, 1)}
		if err := r.connect(url, options...); err != nil {
			h.end()
			return fmt.Errorf("reading heartbeats: %w", err)
		}
		h.wait.Go(func() {
			defer r.nc.Close()
			for pause(ctx, 10*time.Millisecond) {
				_ = r.read(ctx) // NATS, the server or the bucket is gone: what is missed meanwhile shows in the sequence
			}
		})
	}
	return nil
}

// reader reads from one server.
type reader struct {
	*heartbeats
	nc     *nats.Conn
	js     jetstream.JetStream
	lost   chan struct{} // gets something when the connection is lost
	bucket time.Time     // when the one that was read last was made
	next   uint64        // the sequence in it that follows what was read
}

// connect connects to the server. A bucket that is made anew has to be read before its first
// heartbeats are replaced by later ones, which takes a node some tenths of a second: so the
// connection is made again at once, and the bucket looked for again and again.
func (r *reader) connect(url string, options ...nats.Option) (err error) {
	r.nc, err = nats.Connect(url, append(options, nats.IgnoreDiscoveredServers(),
		nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0), nats.ReconnectBufSize(-1),
		nats.PingInterval(time.Minute), // a server that was only stopped goes on with what it had to tell
		nats.DisconnectErrHandler(func(*nats.Conn, error) {
			select {
			case r.lost <- struct{}{}:
			default:
			}
		}))...)
	if err != nil {
		return err
	}
	r.js, err = jetstream.New(r.nc, jetstream.WithDefaultTimeout(250*time.Millisecond)) // one that starts may leave a question unanswered
	return err
}

func (h *heartbeats) end() {
	h.stop()
	h.wait.Wait()
}

// arrived is how long what has arrived over a connection that is lost may take to be read.
const arrived = 100 * time.Millisecond

// consumer makes one that follows what was read, on the reader's own server: NATS puts it on any that
// has the bucket.
func (r *reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	s, err := r.js.Stream(ctx, "KV_fenceline-nodes")
	if err != nil {
		return nil, fmt.Errorf("looking for the heartbeats: %w", err)
	}
	if made := s.CachedInfo().Created; !made.Equal(r.bucket) {
		r.bucket, r.next = made, 1
	}
	for {
		c, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.next,
			AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 10 * time.Second,
		})
		if err != nil {
			return nil, fmt.Errorf("reading heartbeats: %w", err)
		}
		if at := c.CachedInfo().Cluster; at == nil || at.Leader == "" || at.Leader == r.nc.ConnectedServerName() {
			return c, nil
		}
		if err := s.DeleteConsumer(ctx, c.CachedInfo().Name); err != nil {
			return nil, fmt.Errorf("reading heartbeats: %w", err)
		}
	}
}

// read reads on until something fails.
func (r *reader) read(ctx context.Context) error {
	c, err := r.consumer(ctx)
	if err != nil {
		return err
	}
	select {
	case <-r.lost: // of a connection before
	default:
	}
	messages, err := c.Messages(jetstream.PullExpiry(2*time.Second), jetstream.PullHeartbeat(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("reading heartbeats: %w", err)
	}
	defer messages.Stop()
	ctx, end := context.WithCancel(ctx)
	defer end()
	var gone atomic.Bool
	go func() {
		select {
		case <-r.lost:
			gone.Store(true)
			pause(ctx, arrived)
			end()
		case <-ctx.Done():
		}
	}()
	caughtUp := false
	for next := uint64(1); ; next++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil && gone.Load() && caughtUp {
			r.seen.Ended()
		}
		if err != nil {
			return fmt.Errorf("reading heartbeats: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading a heartbeat: %w", err)
		}
		if meta.Sequence.Consumer != next {
			return fmt.Errorf("message %d of the consumer came in place of %d", meta.Sequence.Consumer, next)
		}
		caughtUp = caughtUp || meta.NumPending == 0
		r.next = meta.Sequence.Stream + 1
		r.hear(r.bucket, meta, m.Data())
	}
}

// hear takes down a message of the bucket.
func (h *heartbeats) hear(bucket time.Time, meta *jetstream.MsgMetadata, data []byte) {
	var b heartbeat
	if json.Unmarshal(data, &b) != nil || b.Node == "" {
		h.seen.Saw(bucket, meta.Sequence.Stream, meta.Timestamp, nil)
		return
	}
	beat := invariants.Heartbeat{Node: b.Node, Instance: b.Instance, Beat: b.Beat, Stored: meta.Timestamp}
	for _, i := range b.Images {
		beat.Images = append(beat.Images, i.Image)
	}
	h.seen.Saw(bucket, meta.Sequence.Stream, meta.Timestamp, &beat)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.work[b.Node] = b.Work
}

// does is what a node does, as its last heartbeat says.
func (h *heartbeats) does(node string) nodeWork {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.work[node]
}
