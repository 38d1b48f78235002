package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	natsConnected = metric{name: "fenceline_nats_connected", kind: gauge, by: byEvery, labels: []string{"role"},
		help: "1 while the role has a connection to NATS; else 0."}
	natsRoundTrip = metric{name: "fenceline_nats_round_trip_seconds", kind: gauge, by: byEvery, labels: []string{"role"},
		help: "How long a ping to NATS took that was sent for this scrape. Absent where no answer came."}
	natsReconnects = metric{name: "fenceline_nats_reconnects_total", kind: counter, by: byEvery, labels: []string{"role"},
		help: "How often the connection to NATS was lost and found again."}
	natsRequests = metric{name: "fenceline_nats_request_seconds", kind: histogram, by: byEvery, labels: []string{"role"}, buckets: natsBuckets,
		help: "How long answers of NATS and JetStream took, those of writes with the time until what is written is on disk. What was not answered is among the errors."}
	natsErrors = metric{name: "fenceline_nats_errors_total", kind: counter, by: byEvery, labels: []string{"role", "class"},
		help: "Requests to NATS and JetStream that failed: unavailable (no answer), full (a limit or the disk), forbidden (the credential), undeclared (no such stream), too_large, other. That somebody else wrote a record first, or that one is not there, is no error."}
)

func natsMetrics() []metric {
	return []metric{natsConnected, natsRoundTrip, natsReconnects, natsRequests, natsErrors}
}

// Connection is what is asked of a connection to NATS.
type Connection interface {
	Connected() bool
	Reconnects() uint64
	// RoundTrip is how long a ping takes.
	RoundTrip(ctx context.Context) (time.Duration, error)
	// Certificates tells when the server's certificate ends and when the client's does; zero where there is none.
	Certificates() (server, client time.Time)
}

// NATS is what one role's connection to NATS tells.
type NATS struct {
	requests prometheus.Observer
	errors   *prometheus.CounterVec
	role     string
}

// NATS makes those of the roles of a process.
func (r *Registry) NATS(roles ...string) map[string]*NATS {
	out := map[string]*NATS{}
	if r == nil {
		return out
	}
	requests, errors := natsRequests.histogram(r.all), natsErrors.counter(r.all)
	for _, role := range roles {
		out[role] = &NATS{requests.WithLabelValues(role), errors, role}
		for _, class := range []string{"unavailable", "full", "forbidden", "undeclared", "too_large", "other"} {
			errors.WithLabelValues(role, class)
		}
	}
	return out
}

// Answered takes in how long an answer took.
func (n *NATS) Answered(took time.Duration) {
	if n != nil {
		n.requests.Observe(took.Seconds())
	}
}

// Failed takes in that a request failed, of one of the classes that natsErrors names.
func (n *NATS) Failed(class string) {
	if n != nil {
		n.errors.WithLabelValues(n.role, class).Inc()
	}
}

// Connection has it told how a role's connection is.
func (r *Registry) Connection(role string, c Connection) {
	r.all.MustRegister(&asker{nil, func(tell func(prometheus.Metric)) {
		tell(natsConnected.told(truth(c.Connected()), role))
		tell(natsReconnects.told(float64(c.Reconnects()), role))
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		if took, err := c.RoundTrip(ctx); err == nil {
			tell(natsRoundTrip.told(took.Seconds(), role))
		}
	}})
	r.Certificate(role, "nats_server", func() time.Time { server, _ := c.Certificates(); return server })
	r.Certificate(role, "nats_client", func() time.Time { _, client := c.Certificates(); return client })
}
