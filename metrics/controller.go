package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	acting = metric{name: "fenceline_controller_acting", kind: gauge, by: byController,
		help: "1 while this controller has the lease and acts; else 0. Summed over all controllers it is 1."}
	leases = metric{name: "fenceline_controller_leases_total", kind: counter, by: byController, labels: []string{"outcome"},
		help: "How often this controller has taken the lease, and lost it to silence."}
	passSeconds = metric{name: "fenceline_controller_pass_seconds", kind: histogram, by: byActing, buckets: decisionBuckets,
		help: "How long one pass over a fleet took: all that is decided for it, written, and set in its fence config."}
	decisionSeconds = metric{name: "fenceline_controller_decision_seconds", kind: histogram, by: byActing, buckets: decisionBuckets,
		help: "How long one decision took, from what is known to its write."}
	flips = metric{name: "fenceline_flips_total", kind: counter, by: byActing, labels: []string{"fleet"},
		help: "How often an image was made current in a fleet, other than by a rollback. While no controller acts nobody counts."}
	rollbacks = metric{name: "fenceline_rollbacks_total", kind: counter, by: byActing, labels: []string{"fleet", "by"},
		help: "How often a fleet went back to an earlier image: by person, or by soak, which is what fenceline does by itself."}
	holds = metric{name: "fenceline_holds_total", kind: counter, by: byActing, labels: []string{"fleet", "by"},
		help: "How often a hold was set: by person, or by fenceline."}
	pushToFlip = metric{name: "fenceline_push_to_flip_seconds", kind: histogram, by: byActing, labels: []string{"fleet"}, buckets: rolloutBuckets,
		help: "From when a push was received to the flip to its image. By the clocks of two machines."}
	pushToLast = metric{name: "fenceline_push_to_last_node_seconds", kind: histogram, by: byActing, labels: []string{"fleet"}, buckets: rolloutBuckets,
		help: "From when a push was received to when every member of its rollout had the image after its flip, and had applied it where nodes apply it. Rollouts whose last node never came are left out."}
	fenceCalls = metric{name: "fenceline_fence_calls_total", kind: counter, by: byActing, labels: []string{"kind", "call", "outcome"},
		help: "Calls of fence configs by kind (natskv, kato, confdis, exec), call (read, write) and outcome: done, conflict (somebody else wrote first), error."}
	fenceSeconds = metric{name: "fenceline_fence_call_seconds", kind: histogram, by: byActing, labels: []string{"kind", "call"}, buckets: fenceBuckets,
		help: "How long calls of fence configs took."}
)

func controllerMetrics() []metric {
	return []metric{acting, leases, passSeconds, decisionSeconds, flips, rollbacks, holds, pushToFlip, pushToLast, fenceCalls, fenceSeconds}
}

// Controller is what a controller tells.
type Controller struct {
	all        prometheus.Registerer
	acts       atomic.Bool
	leases     *prometheus.CounterVec
	pass       prometheus.Observer
	decision   prometheus.Observer
	flips      *prometheus.CounterVec
	rollbacks  *prometheus.CounterVec
	holds      *prometheus.CounterVec
	pushToFlip *prometheus.HistogramVec
	pushToLast *prometheus.HistogramVec
	fence      *prometheus.CounterVec
	fenceTime  *prometheus.HistogramVec
	fleets     *names
	pipelines  *names
}

// Controller makes a controller's, nil of a nil registry.
func (r *Registry) Controller() *Controller {
	if r == nil {
		return nil
	}
	c := &Controller{
		all: r.all, leases: leases.counter(r.all), pass: passSeconds.histogram(r.all).WithLabelValues(),
		decision: decisionSeconds.histogram(r.all).WithLabelValues(), flips: flips.counter(r.all), rollbacks: rollbacks.counter(r.all),
		holds: holds.counter(r.all), pushToFlip: pushToFlip.histogram(r.all), pushToLast: pushToLast.histogram(r.all),
		fence: fenceCalls.counter(r.all), fenceTime: fenceSeconds.histogram(r.all),
	}
	c.fleets = namesOf("fleet", c.flips, c.rollbacks, c.holds, c.pushToFlip, c.pushToLast)
	c.pipelines = namesOf("pipeline")
	for _, outcome := range []string{"taken", "lost"} {
		c.leases.WithLabelValues(outcome)
	}
	r.all.MustRegister(&asker{[]metric{acting}, func(tell func(prometheus.Metric)) { tell(acting.told(truth(c.acts.Load()))) }})
	return c
}

// Acts takes in that the controller acts from here on, and returns what takes in that it does no more, and whether it lost
// the lease.
func (c *Controller) Acts() (ended func(lost bool)) {
	if c == nil {
		return func(bool) {}
	}
	c.leases.WithLabelValues("taken").Inc()
	c.acts.Store(true)
	return func(lost bool) {
		c.acts.Store(false)
		if lost {
			c.leases.WithLabelValues("lost").Inc()
		}
	}
}

// Acting tells whether it does.
func (c *Controller) Acting() bool { return c != nil && c.acts.Load() }

// Fleet has it tell of a fleet's decisions from the start, so that the first is seen to be one more.
func (c *Controller) Fleet(fleet string) {
	if c == nil {
		return
	}
	fleet = c.fleets.bounded(fleet)
	c.flips.WithLabelValues(fleet)
	for _, by := range []string{"person", "soak"} {
		c.rollbacks.WithLabelValues(fleet, by)
	}
	for _, by := range []string{"person", "fenceline"} {
		c.holds.WithLabelValues(fleet, by)
	}
}

// Passed takes in how long a pass over a fleet took.
func (c *Controller) Passed(took time.Duration) {
	if c != nil {
		c.pass.Observe(took.Seconds())
	}
}

// Decided takes in how long a decision took.
func (c *Controller) Decided(took time.Duration) {
	if c != nil {
		c.decision.Observe(took.Seconds())
	}
}

// Flipped takes in that an image was made current.
func (c *Controller) Flipped(fleet string) {
	if c.Acting() {
		c.flips.WithLabelValues(c.fleets.bounded(fleet)).Inc()
	}
}

// RolledBack takes in that a fleet went back, and whether a person had it do so.
func (c *Controller) RolledBack(fleet string, person bool) {
	if c.Acting() {
		c.rollbacks.WithLabelValues(c.fleets.bounded(fleet), who(person, "soak")).Inc()
	}
}

// Held takes in that a hold was set, and whether by a person.
func (c *Controller) Held(fleet string, person bool) {
	if c.Acting() {
		c.holds.WithLabelValues(c.fleets.bounded(fleet), who(person, "fenceline")).Inc()
	}
}

func who(person bool, otherwise string) string {
	if person {
		return "person"
	}
	return otherwise
}

// FlippedAfter takes in how long after its push an image was flipped to.
func (c *Controller) FlippedAfter(fleet string, took time.Duration) {
	if c.Acting() {
		c.pushToFlip.WithLabelValues(c.fleets.bounded(fleet)).Observe(max(took, 0).Seconds())
	}
}

// LastNodeAfter takes in how long after its push the last node had an image.
func (c *Controller) LastNodeAfter(fleet string, took time.Duration) {
	if c.Acting() {
		c.pushToLast.WithLabelValues(c.fleets.bounded(fleet)).Observe(max(took, 0).Seconds())
	}
}

// The outcomes of calls of fence configs.
const (
	FenceDone     = "done"
	FenceConflict = "conflict"
	FenceError    = "error"
)

// Fence takes in a call of a fence config of a kind: read or write.
func (c *Controller) Fence(kind, call, outcome string, took time.Duration) {
	if c == nil {
		return
	}
	c.fence.WithLabelValues(kind, call, outcome).Inc()
	c.fenceTime.WithLabelValues(kind, call).Observe(took.Seconds())
}
