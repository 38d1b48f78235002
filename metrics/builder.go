package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	builds = metric{name: "fenceline_builds_total", kind: counter, by: byBuilder, labels: []string{"pipeline", "outcome", "class"},
		help: "Builds that this builder ended: succeeded, failed, superseded, cancelled or unchanged. class is whose fault a failure is (user, hooks, infrastructure, timeout), none for the others."}
	attempts = metric{name: "fenceline_build_attempts_total", kind: counter, by: byBuilder, labels: []string{"outcome"},
		help: "Attempts by what became of them: ended (with the build), failed (the build is tried again), returned (given back untried or unfinished, as at a stop), lease_lost (NATS did not hear of it in time, and another builder may have it), buried (its request became a dead letter)."}
	attemptSeconds = metric{name: "fenceline_build_seconds", kind: histogram, by: byBuilder, labels: []string{"outcome"}, buckets: buildBuckets,
		help: "How long attempts took from the claim, by the outcome as above."}
	waitSeconds = metric{name: "fenceline_build_wait_seconds", kind: histogram, by: byBuilder, buckets: buildBuckets,
		help: "How long requests waited for their first builder, from when they were stored. By the clocks of two machines."}
	stepSeconds = metric{name: "fenceline_build_step_seconds", kind: histogram, by: byBuilder, labels: []string{"step"}, buckets: buildBuckets,
		help: "How long the steps of builds took: pin (fetch the commit, pin its bases), build, check (the hooks), push. A step in which a build fails is left out."}
	pushedBytes = metric{name: "fenceline_build_pushed_bytes_total", kind: counter, by: byBuilder,
		help: "Compressed bytes of the layers of the images that were pushed, those that a registry had already included."}
	slots = metric{name: "fenceline_builder_slots", kind: gauge, by: byBuilder,
		help: "Builds that this builder does at one time."}
	slotsFree = metric{name: "fenceline_builder_slots_free", kind: gauge, by: byBuilder,
		help: "Slots in which nothing is built now."}
	buildkitUp = metric{name: "fenceline_builder_buildkitd_up", kind: gauge, by: byBuilder,
		help: "1 while the builder's buildkitd answers and has room; else 0, and the builder takes no builds."}
)

func builderMetrics() []metric {
	return []metric{builds, attempts, attemptSeconds, waitSeconds, stepSeconds, pushedBytes, slots, slotsFree, buildkitUp}
}

// What becomes of an attempt.
const (
	AttemptEnded    = "ended"
	AttemptFailed   = "failed"
	AttemptReturned = "returned"
	AttemptLost     = "lease_lost"
	AttemptBuried   = "buried"
)

// Builder is what a builder tells.
type Builder struct {
	all      prometheus.Registerer
	builds   *prometheus.CounterVec
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	wait     prometheus.Observer
	steps    *prometheus.HistogramVec
	pushed   prometheus.Counter
	free     prometheus.Gauge
	names    *names
}

// Builder makes a builder's, nil of a nil registry.
func (r *Registry) Builder() *Builder {
	if r == nil {
		return nil
	}
	b := &Builder{
		all: r.all, builds: builds.counter(r.all), attempts: attempts.counter(r.all), seconds: attemptSeconds.histogram(r.all),
		wait: waitSeconds.histogram(r.all).WithLabelValues(), steps: stepSeconds.histogram(r.all), pushed: pushedBytes.counter(r.all).WithLabelValues(),
		free: prometheus.NewGauge(prometheus.GaugeOpts{Name: slotsFree.name, Help: slotsFree.help}),
	}
	b.names = namesOf("pipeline", b.builds)
	r.all.MustRegister(b.free)
	for _, outcome := range []string{AttemptEnded, AttemptFailed, AttemptReturned, AttemptLost, AttemptBuried} {
		b.attempts.WithLabelValues(outcome)
	}
	return b
}

// Works has it told how many slots there are, and whether what builds in them can.
func (b *Builder) Works(n int, able func(context.Context) error) {
	if b == nil {
		return
	}
	b.free.Set(float64(n))
	b.all.MustRegister(&asker{[]metric{slots, buildkitUp}, func(tell func(prometheus.Metric)) {
		tell(slots.told(float64(n)))
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		tell(buildkitUp.told(truth(able(ctx) == nil)))
	}})
}

// Taken takes in that a slot is taken. The function that it returns takes in that it is free again, and what became of the attempt;
// "" where it came to nothing that counts as one.
func (b *Builder) Taken() (free func(outcome string)) {
	if b == nil {
		return func(string) {}
	}
	began := time.Now()
	b.free.Dec()
	return func(outcome string) {
		b.free.Inc()
		if outcome != "" {
			b.attempts.WithLabelValues(outcome).Inc()
			b.seconds.WithLabelValues(outcome).Observe(time.Since(began).Seconds())
		}
	}
}

// Waited takes in how long a request waited for its first builder.
func (b *Builder) Waited(d time.Duration) {
	if b != nil {
		b.wait.Observe(max(d, 0).Seconds())
	}
}

// Ended takes in how a build ended; class is that of a failure, or "".
func (b *Builder) Ended(pipeline, outcome, class string) {
	if b == nil {
		return
	}
	if class == "" {
		class = "none"
	}
	b.builds.WithLabelValues(b.names.bounded(pipeline), outcome, class).Inc()
}

// Step takes in how long a step of a build took.
func (b *Builder) Step(step string, took time.Duration) {
	if b != nil {
		b.steps.WithLabelValues(step).Observe(took.Seconds())
	}
}

// Pushed takes in the size of an image that was pushed.
func (b *Builder) Pushed(bytes int64) {
	if b != nil {
		b.pushed.Add(float64(max(bytes, 0)))
	}
}
