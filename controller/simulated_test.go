package controller_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// simulated is a node that does what the fleet record asks, without an engine.
type simulated struct {
	q      *store.Node
	mu     sync.Mutex
	status messages.NodeStatus
	record messages.FleetRecord
	trial  messages.TrialResult
	broken string // why it can't fetch, or ""
	lost   []messages.Image
	older  bool          // it names images as nodes of an earlier version do
	clock  time.Duration // how far its clock is ahead
	stop   context.CancelFunc
	ended  sync.WaitGroup
	poke   chan struct{}
}

func startNode(t *testing.T, q *queue.Client, fleet, name string, change ...func(*simulated)) *simulated {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	n := &simulated{
		q: store.NewNode(q), stop: cancel, trial: messages.TrialResult{Passed: true}, poke: make(chan struct{}, 1),
		status: messages.NodeStatus{Fleet: fleet, Node: name, Instance: messages.NewID(), Interval: messages.Duration(beat)},
	}
	for _, f := range change {
		f(n)
	}
	n.ended.Go(func() { _ = n.q.WatchFleet(ctx, fleet, n.see) })
	n.ended.Go(func() { n.beats(ctx) })
	t.Cleanup(n.end)
	return n
}

// seldom has a node say that it beats more seldom than it does. A fleet waits for nodes that join, and people
// for what nodes say, for three times as long: here longer than a busy machine pauses.
func seldom(n *simulated) { n.status.Interval = messages.Duration(2 * time.Second) }

// awaited makes a node seldom, and waits until that is stored.
func (n *simulated) awaited(t *testing.T) {
	t.Helper()
	n.set(seldom)
	until(t, store.Nodes(n.q.Client), messages.NodeKey(n.status.Fleet, n.status.Node), "it to say its interval", func(s messages.NodeStatus) bool {
		return s.Interval.Std() > beat
	})
}

func (n *simulated) end() { n.stop(); n.ended.Wait() }

func (n *simulated) see(f messages.FleetChanged) {
	n.mu.Lock()
	n.record, n.status.Revision = f.Record, f.Revision
	n.work()
	n.mu.Unlock()
	n.now()
}

// set changes how the node behaves.
func (n *simulated) set(change func(*simulated)) {
	n.mu.Lock()
	change(n)
	n.work()
	n.mu.Unlock()
	n.now()
}

func (n *simulated) now() {
	select {
	case n.poke <- struct{}{}:
	default:
	}
}

// work brings the status in line with the record. It is called with mu held.
func (n *simulated) work() {
	var have []messages.Image
	if c := n.record.Current.Image; c != "" {
		have = append(have, c)
	}
	if p := n.record.Previous.Image; p != "" {
		have = append(have, p)
	}
	for _, k := range n.record.Keep {
		have = append(have, k.Image)
	}
	p := n.record.Preload
	if p == nil {
		n.status.Work = nil
	} else if slices.Contains(p.Canaries, n.status.Node) || p.Threshold > 0 && messages.WaveHash(p.Rollout, n.status.Node) <= p.Threshold {
		w := &messages.NodeWork{Rollout: p.Rollout, Image: p.Image, State: messages.WorkDone}
		if n.broken != "" {
			w.State, w.Reason = messages.WorkFailed, n.broken
		} else {
			have = append(have, p.Image)
			if slices.Contains(p.Canaries, n.status.Node) && !p.Trial.Disabled {
				trial := n.trial
				w.Trial = &trial
			}
		}
		n.status.Work = w
	}
	n.status.Images = nil
	for _, i := range have {
		if !slices.Contains(n.lost, i) {
			n.status.Images = append(n.status.Images, messages.PresentImage{Image: i, ID: i.Digest(), Local: n.named(i)})
		}
	}
}

// named is the name under which the node keeps an image.
func (n *simulated) named(i messages.Image) string {
	if n.older {
		return n.record.LocalRealm() + ":" + i.Digest()[7:23]
	}
	return n.record.LocalName(i)
}

func (n *simulated) beats(ctx context.Context) {
	every := time.NewTicker(beat)
	defer every.Stop()
	for {
		n.mu.Lock()
		n.status.Beat++
		s := n.status
		s.At = time.Now().Add(n.clock)
		n.mu.Unlock()
		_ = n.q.Heartbeat(ctx, &s) // a lost one is followed by the next
		select {
		case <-every.C:
		case <-n.poke:
		case <-ctx.Done():
			return
		}
	}
}
