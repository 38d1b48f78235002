package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	intake = metric{name: "fenceline_intake_requests_total", kind: counter, by: byProducer, labels: []string{"source", "outcome"},
		help: "HTTP requests that were answered. source is the forge of a webhook, registry for notifications, call for those with a token, other for what goes nowhere; outcome is accepted (stored, or known already), ignored (nothing is to be built), read (it only asks how things are), refused (4xx) or failed (5xx: it is to be sent again)."}
	intakeSeconds = metric{name: "fenceline_intake_store_seconds", kind: histogram, by: byProducer, buckets: storeBuckets,
		help: "How long storing one build request took, until it is on NATS's disk. Those that failed are left out."}
	requested = metric{name: "fenceline_build_requests_total", kind: counter, by: byProducer, labels: []string{"pipeline", "reason", "outcome"},
		help: "Build requests by what led to them: push, tag, poll, schedule, base, cascade, person or retry. outcome is new, duplicate (the same is asked for already) or failed (not stored)."}
	pipelines = metric{name: "fenceline_pipelines", kind: gauge, by: byProducer,
		help: "Pipelines in force."}
	fileLoads = metric{name: "fenceline_pipeline_file_loads_total", kind: counter, by: byProducer, labels: []string{"outcome"},
		help: "How often the pipeline file was read: taken (it is in force, the first time included) or refused (the pipelines before stay in force)."}
	fileRefused = metric{name: "fenceline_pipeline_file_refused", kind: gauge, by: byProducer,
		help: "1 while the pipeline file can't be used as it is, and the one before is in force; else 0."}
	fileLoaded = metric{name: "fenceline_pipeline_file_loaded_timestamp_seconds", kind: gauge, by: byProducer,
		help: "When the pipelines in force were read, in seconds since 1970."}
)

func producerMetrics() []metric {
	return []metric{intake, intakeSeconds, requested, pipelines, fileLoads, fileRefused, fileLoaded}
}

// Producer is what a producer tells.
type Producer struct {
	all       prometheus.Registerer
	intake    *prometheus.CounterVec
	seconds   prometheus.Observer
	requested *prometheus.CounterVec
	loads     *prometheus.CounterVec
	names     *names
}

// Producer makes a producer's, nil of a nil registry.
func (r *Registry) Producer() *Producer {
	if r == nil {
		return nil
	}
	p := &Producer{
		all: r.all, intake: intake.counter(r.all), seconds: intakeSeconds.histogram(r.all).WithLabelValues(),
		requested: requested.counter(r.all), loads: fileLoads.counter(r.all),
	}
	p.names = namesOf("pipeline", p.requested)
	p.loads.WithLabelValues("taken").Inc() // it runs by one
	p.loads.WithLabelValues("refused")
	return p
}

// The outcomes of what comes over HTTP.
const (
	Accepted = "accepted"
	Ignored  = "ignored"
	Asked    = "read"
	Refused  = "refused"
	Failed   = "failed"
)

// Sources has it tell of sources from the start, so that the first request from one is seen to be one more.
func (p *Producer) Sources(all []string) {
	if p == nil {
		return
	}
	for _, source := range all {
		for _, outcome := range []string{Accepted, Ignored, Asked, Refused, Failed} {
			p.intake.WithLabelValues(source, outcome)
		}
	}
}

// Came takes in a request over HTTP that was answered.
func (p *Producer) Came(source, outcome string) {
	if p != nil {
		p.intake.WithLabelValues(source, outcome).Inc()
	}
}

// Stored takes in a build request that was stored, or found to be asked for already.
func (p *Producer) Stored(pipeline, reason string, duplicate bool, took time.Duration) {
	if p == nil {
		return
	}
	outcome := "new"
	if duplicate {
		outcome = "duplicate"
	}
	p.seconds.Observe(took.Seconds())
	p.requested.WithLabelValues(p.names.bounded(pipeline), reason, outcome).Inc()
}

// NotStored takes in a build request that could not be stored.
func (p *Producer) NotStored(pipeline, reason string) {
	if p != nil {
		p.requested.WithLabelValues(p.names.bounded(pipeline), reason, Failed).Inc()
	}
}

// Loaded takes in that the pipeline file was read again, and whether it came into force.
func (p *Producer) Loaded(taken bool) {
	switch {
	case p == nil:
	case taken:
		p.loads.WithLabelValues("taken").Inc()
	default:
		p.loads.WithLabelValues("refused").Inc()
	}
}

// PipelineFile is what a producer knows of its pipeline file.
type PipelineFile struct {
	Pipelines int
	Refused   bool
	Loaded    time.Time
}

// File has it told how the pipeline file is.
func (p *Producer) File(now func() PipelineFile) {
	if p == nil {
		return
	}
	p.all.MustRegister(&asker{[]metric{pipelines, fileRefused, fileLoaded}, func(tell func(prometheus.Metric)) {
		f := now()
		tell(pipelines.told(float64(f.Pipelines)))
		tell(fileRefused.told(truth(f.Refused)))
		tell(fileLoaded.told(float64(f.Loaded.UnixMilli()) / 1000))
	}})
}
