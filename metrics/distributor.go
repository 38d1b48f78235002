package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	pulls = metric{name: "fenceline_pulls_total", kind: counter, by: byDistributor, labels: []string{"way", "outcome"},
		help: "Images that the node fetched, by way (engine, mirrors, load) and outcome: done, failed, or given_up where the fleet no longer wanted it or the agent was stopped."}
	pullBytes = metric{name: "fenceline_pull_bytes_total", kind: counter, by: byDistributor, labels: []string{"way"},
		help: "Bytes that were fetched for them."}
	pullSeconds = metric{name: "fenceline_pull_seconds", kind: histogram, by: byDistributor, labels: []string{"way"}, buckets: buildBuckets,
		help: "How long those took that were done."}
	trials = metric{name: "fenceline_trials_total", kind: counter, by: byDistributor, labels: []string{"outcome"},
		help: "Trials of images that the node ran: passed, failed (the image's fault), or error (the engine's)."}
	applies = metric{name: "fenceline_applies_total", kind: counter, by: byDistributor, labels: []string{"outcome"},
		help: "How often the current image was applied where the node's own software reads it: done, failed (it is tried again), or mended (somebody else had changed it)."}
	beats = metric{name: "fenceline_heartbeats_total", kind: counter, by: byDistributor, labels: []string{"outcome"},
		help: "Heartbeats: stored, or failed."}
	engineUp = metric{name: "fenceline_node_engine_up", kind: gauge, by: byDistributor,
		help: "1 where the node's engine answered for the last heartbeat; else 0. Absent before the first."}
	freeBytes = metric{name: "fenceline_node_free_bytes", kind: gauge, by: byDistributor,
		help: "Bytes that are free where the engine keeps images, as of the last heartbeat. Absent where that can't be known."}
	wanted = metric{name: "fenceline_node_wanted_images", kind: gauge, by: byDistributor,
		help: "Images that the fleet's record wants on nodes, those included that this one is not to fetch yet. Absent before the fleet's record is known."}
	present = metric{name: "fenceline_node_present_images", kind: gauge, by: byDistributor,
		help: "Those of them that the engine has, as of the last heartbeat. Absent while the engine doesn't answer."}
)

func distributorMetrics() []metric {
	return []metric{pulls, pullBytes, pullSeconds, trials, applies, beats, engineUp, freeBytes, wanted, present}
}

// Distributor is what a distributor tells.
type Distributor struct {
	all     prometheus.Registerer
	pulls   *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	trials  *prometheus.CounterVec
	applies *prometheus.CounterVec
	beats   *prometheus.CounterVec
}

// Distributor makes a distributor's, nil of a nil registry.
func (r *Registry) Distributor() *Distributor {
	if r == nil {
		return nil
	}
	d := &Distributor{
		all: r.all, pulls: pulls.counter(r.all), bytes: pullBytes.counter(r.all), seconds: pullSeconds.histogram(r.all),
		trials: trials.counter(r.all), applies: applies.counter(r.all), beats: beats.counter(r.all),
	}
	for vec, outcomes := range map[*prometheus.CounterVec][]string{
		d.trials: {"passed", "failed", "error"}, d.applies: {"done", "failed", "mended"}, d.beats: {"stored", "failed"},
	} {
		for _, o := range outcomes {
			vec.WithLabelValues(o)
		}
	}
	return d
}

// The outcomes of pulls.
const (
	PullDone    = "done"
	PullFailed  = "failed"
	PullGivenUp = "given_up"
)

// Pulled takes in what became of a pull.
func (d *Distributor) Pulled(way, outcome string, bytes int64, took time.Duration) {
	if d == nil {
		return
	}
	d.pulls.WithLabelValues(way, outcome).Inc()
	d.bytes.WithLabelValues(way).Add(float64(max(bytes, 0)))
	if outcome == PullDone {
		d.seconds.WithLabelValues(way).Observe(took.Seconds())
	}
}

// Tried takes in a trial: passed, failed or error.
func (d *Distributor) Tried(outcome string) {
	if d != nil {
		d.trials.WithLabelValues(outcome).Inc()
	}
}

// Applied takes in that the current image was applied: done, failed or mended.
func (d *Distributor) Applied(outcome string) {
	if d != nil {
		d.applies.WithLabelValues(outcome).Inc()
	}
}

// Beat takes in a heartbeat.
func (d *Distributor) Beat(stored bool) {
	switch {
	case d == nil:
	case stored:
		d.beats.WithLabelValues("stored").Inc()
	default:
		d.beats.WithLabelValues("failed").Inc()
	}
}

// NodeNow is what a distributor saw for its last heartbeat.
type NodeNow struct {
	EngineUp        bool
	FreeBytes       int64 // negative where that isn't known
	Wanted, Present int   // negative where that isn't known
}

// Node has it told how the node is; nothing where now says that nothing is known that is fresh.
func (d *Distributor) Node(now func() (NodeNow, bool)) {
	if d == nil {
		return
	}
	d.all.MustRegister(&asker{[]metric{engineUp, freeBytes, wanted, present}, func(tell func(prometheus.Metric)) {
		n, known := now()
		if !known {
			return
		}
		tell(engineUp.told(truth(n.EngineUp)))
		if n.FreeBytes >= 0 {
			tell(freeBytes.told(float64(n.FreeBytes)))
		}
		if n.Wanted >= 0 {
			tell(wanted.told(float64(n.Wanted)))
		}
		if n.Present >= 0 {
			tell(present.told(float64(n.Present)))
		}
	}})
}
