package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	buildInfo = metric{name: "fenceline_build_info", kind: gauge, by: byEvery, labels: []string{"version"},
		help: "1, with the version of the program."}
	ready = metric{name: "fenceline_ready", kind: gauge, by: byEvery, labels: []string{"role"},
		help: "1 while the role can do its work, as /readyz tells; else 0."}
	certificateEnd = metric{name: "fenceline_certificate_end_timestamp_seconds", kind: gauge, by: byEvery, labels: []string{"role", "certificate"},
		help: "When a certificate ends, in seconds since 1970: webhooks is the one that a producer shows, console a console's, nats_client the one that the role shows to NATS, nats_server the one that NATS showed it."}
	stateFree = metric{name: "fenceline_state_free_bytes", kind: gauge, by: byUp,
		help: "Bytes that are free on the disk of the state folder, where NATS, the registry and buildkitd of `fenceline up` keep everything."}
)

func processMetrics() []metric { return []metric{buildInfo, ready, certificateEnd, stateFree} }

// Ready has it told whether a role can do its work.
func (r *Registry) Ready(role string, can func(context.Context) error) {
	r.all.MustRegister(&asker{nil, func(tell func(prometheus.Metric)) {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		tell(ready.told(truth(can(ctx) == nil), role))
	}})
}

// Certificate has it told when a certificate ends; a zero time where there is none.
func (r *Registry) Certificate(role, which string, end func() time.Time) {
	r.all.MustRegister(&asker{nil, func(tell func(prometheus.Metric)) {
		if at := end(); !at.IsZero() {
			tell(certificateEnd.told(float64(at.Unix()), role, which))
		}
	}})
}

// State has it told how many bytes are free for the state folder; negative where that can't be known.
func (r *Registry) State(free func() int64) {
	r.all.MustRegister(&asker{[]metric{stateFree}, func(tell func(prometheus.Metric)) {
		if n := free(); n >= 0 {
			tell(stateFree.told(float64(n)))
		}
	}})
}
