package metrics

import "github.com/prometheus/client_golang/prometheus"

var forgeCalls = metric{name: "fenceline_statuses_total", kind: counter, by: byStatuses, labels: []string{"forge", "outcome"},
	help: "Calls that told a forge what became of a commit: told, refused (the forge does not take this one), denied (the token may not), failed (it is tried again)."}

func statusMetrics() []metric { return []metric{forgeCalls} }

// Statuses is what who tells forges tells.
type Statuses struct{ calls *prometheus.CounterVec }

// Statuses makes theirs, nil of a nil registry.
func (r *Registry) Statuses() *Statuses {
	if r == nil {
		return nil
	}
	return &Statuses{forgeCalls.counter(r.all)}
}

// Told takes in a call of a forge: told, refused, denied or failed.
func (s *Statuses) Told(forge, outcome string) {
	if s != nil {
		s.calls.WithLabelValues(forge, outcome).Inc()
	}
}
