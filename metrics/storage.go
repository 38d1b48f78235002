package metrics

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	queueWaiting = metric{name: "fenceline_queue_requests", kind: gauge, by: byActing, labels: []string{"pipeline"},
		help: "Build requests that no builder has taken yet."}
	queueOldest = metric{name: "fenceline_queue_oldest_age_seconds", kind: gauge, by: byActing, labels: []string{"pipeline"},
		help: "How long the oldest of them has waited, by NATS's clock. Absent where none waits."}
	queueTaken = metric{name: "fenceline_queue_taken_requests", kind: gauge, by: byActing,
		help: "Build requests that a builder has, or that wait for another try."}
	letters = metric{name: "fenceline_dead_letters", kind: gauge, by: byActing,
		help: "Dead letters that are kept: messages that nobody could handle, and builds that were given up."}
	streamBytes = metric{name: "fenceline_stream_bytes", kind: gauge, by: byActing, labels: []string{"stream"},
		help: "Bytes that a stream of the installation takes, in each copy. Streams of buckets have KV_ or OBJ_ before their names."}
	streamLimit = metric{name: "fenceline_stream_limit_bytes", kind: gauge, by: byActing, labels: []string{"stream", "full"},
		help: "Bytes that a stream may take. full is what it does then: refuses (what would be stored) or drops (the oldest). Absent without a limit."}
	storageUsed = metric{name: "fenceline_jetstream_storage_bytes", kind: gauge, by: byActing,
		help: "Bytes on disk that the streams of the NATS account take, all copies together, other programs' included."}
	storageLimit = metric{name: "fenceline_jetstream_storage_limit_bytes", kind: gauge, by: byActing,
		help: "Bytes on disk that the NATS account may take. Absent where the account has no limit: then nats-server's own counts, which it tells at its monitoring port."}
)

func storageMetrics() []metric {
	return []metric{queueWaiting, queueOldest, queueTaken, letters, streamBytes, streamLimit, storageUsed, storageLimit}
}

// Backlog is what waits for builders.
type Backlog struct {
	Taken     uint64
	Pipelines []PipelineBacklog
}

// PipelineBacklog is what waits of one pipeline.
type PipelineBacklog struct {
	Pipeline string
	Waiting  uint64
	Oldest   time.Duration // of a waiting one
}

// Stream is how full a stream is.
type Stream struct {
	Name    string
	Bytes   uint64
	Limit   int64 // 0 for none
	Refuses bool  // at its limit, rather than drop the oldest
}

// Storage is what is asked of NATS when somebody scrapes. What fails is left out of the answer.
type Storage struct {
	Backlog func(context.Context) (Backlog, error)
	Letters func(context.Context) (uint64, error)
	Streams func(context.Context) ([]Stream, error)
	// Account tells how much an account takes on disk, and may: 0 for no limit.
	Account func(context.Context) (used uint64, limit int64, err error)
}

// Storage has it told how the queue and NATS's storage are, while the controller acts.
func (c *Controller) Storage(s Storage) {
	if c == nil {
		return
	}
	for _, a := range []asker{
		{[]metric{queueWaiting, queueOldest, queueTaken}, c.while(func(ctx context.Context) []prometheus.Metric { return c.backlog(s.Backlog(ctx)) })},
		{[]metric{letters}, c.while(func(ctx context.Context) []prometheus.Metric {
			n, err := s.Letters(ctx)
			if err != nil {
				return nil
			}
			return []prometheus.Metric{letters.told(float64(n))}
		})},
		{[]metric{streamBytes, streamLimit}, c.while(func(ctx context.Context) []prometheus.Metric { return streams(s.Streams(ctx)) })},
		{[]metric{storageUsed, storageLimit}, c.while(func(ctx context.Context) []prometheus.Metric { return account(s.Account(ctx)) })},
	} {
		c.all.MustRegister(&a)
	}
}

// while asks in the time that there is, and tells the answer if the controller acted all the while.
func (c *Controller) while(ask func(context.Context) []prometheus.Metric) func(func(prometheus.Metric)) {
	return func(tell func(prometheus.Metric)) {
		if !c.Acting() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		all := ask(ctx)
		if !c.Acting() {
			return
		}
		for _, m := range all {
			tell(m)
		}
	}
}

func (c *Controller) backlog(b Backlog, err error) []prometheus.Metric {
	if err != nil {
		return nil
	}
	out := []prometheus.Metric{queueTaken.told(float64(b.Taken))}
	all := slices.SortedStableFunc(slices.Values(b.Pipelines), func(a, b PipelineBacklog) int { return cmp.Compare(b.Waiting, a.Waiting) })
	for _, p := range all { // those first that something waits of: they take the places of those that were given up
		named := c.pipelines.still
		if p.Waiting > 0 {
			named = c.pipelines.bounded
		}
		name := named(p.Pipeline)
		if name == others {
			continue
		}
		out = append(out, queueWaiting.told(float64(p.Waiting), name))
		if p.Waiting > 0 {
			out = append(out, queueOldest.told(max(p.Oldest, 0).Seconds(), name))
		}
	}
	return out
}

func streams(all []Stream, err error) []prometheus.Metric {
	if err != nil {
		return nil
	}
	var out []prometheus.Metric
	for _, s := range all {
		out = append(out, streamBytes.told(float64(s.Bytes), s.Name))
		if s.Limit > 0 {
			full := "drops"
			if s.Refuses {
				full = "refuses"
			}
			out = append(out, streamLimit.told(float64(s.Limit), s.Name, full))
		}
	}
	return out
}

func account(used uint64, limit int64, err error) []prometheus.Metric {
	if err != nil {
		return nil
	}
	out := []prometheus.Metric{storageUsed.told(float64(used))}
	if limit > 0 {
		out = append(out, storageLimit.told(float64(limit)))
	}
	return out
}
