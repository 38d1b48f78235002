package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	sinkEvents = metric{name: "fenceline_sink_events_total", kind: counter, by: byStatuses, labels: []string{"sink", "outcome"},
		help: "Tries to send an event to a sink: delivered, refused (the sink does not take this one), failed (it is tried again); and events given_up (dead letters), dropped (no room for a dead letter) or lost (a stream's limits removed them unsent; of these, some may be of a kind that the sink doesn't want)."}
	sinkWaiting = metric{name: "fenceline_sink_waiting_events", kind: gauge, by: byStatuses, labels: []string{"sink"},
		help: "Events that are not delivered yet. Those that are not read yet count whether the sink wants them or not. Told by the worker that acts."}
	sinkOldest = metric{name: "fenceline_sink_oldest_age_seconds", kind: gauge, by: byStatuses, labels: []string{"sink"},
		help: "How long ago the oldest of them was stored; 0 without one."}
	sinkGone = metric{name: "fenceline_sink_disabled", kind: gauge, by: byStatuses, labels: []string{"sink"},
		help: "1 while a sink is sent nothing as it answered that it wants no more (410); else 0."}
)

func sinkMetrics() []metric { return []metric{sinkEvents, sinkWaiting, sinkOldest, sinkGone} }

// Sinks is what who sends events to sinks tells.
type Sinks struct {
	events                *prometheus.CounterVec
	waiting, oldest, gone *prometheus.GaugeVec
}

// Sinks makes theirs, nil of a nil registry.
func (r *Registry) Sinks() *Sinks {
	if r == nil {
		return nil
	}
	return &Sinks{sinkEvents.counter(r.all), sinkWaiting.gauge(r.all), sinkOldest.gauge(r.all), sinkGone.gauge(r.all)}
}

// Sent takes in what became of an event: delivered, refused, failed, given_up or dropped.
func (s *Sinks) Sent(sink, outcome string) {
	if s != nil {
		s.events.WithLabelValues(sink, outcome).Inc()
	}
}

// Lost takes in that so many events are gone that were not sent.
func (s *Sinks) Lost(sink string, events uint64) {
	if s != nil {
		s.events.WithLabelValues(sink, "lost").Add(float64(events))
	}
}

// Waiting takes in how much waits for a sink, and whether it wants no more.
func (s *Sinks) Waiting(sink string, events int, oldest time.Duration, gone bool) {
	if s != nil {
		s.waiting.WithLabelValues(sink).Set(float64(events))
		s.oldest.WithLabelValues(sink).Set(oldest.Seconds())
		s.gone.WithLabelValues(sink).Set(truth(gone))
	}
}

// Forget takes in that another worker acts, or that there are other sinks.
func (s *Sinks) Forget() {
	if s != nil {
		s.waiting.Reset()
		s.oldest.Reset()
		s.gone.Reset()
	}
}
