package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Registry collects the metrics of one process, those of libraries that register themselves left out. Of a nil one every
// role gets nil.
type Registry struct {
	all *prometheus.Registry
}

// New is a registry that has what the Go runtime and the kernel tell of the process, and its build.
func New(version string) *Registry {
	r := &Registry{all: prometheus.NewRegistry()}
	r.all.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	r.all.MustRegister(&asker{[]metric{buildInfo}, func(tell func(prometheus.Metric)) { tell(buildInfo.told(1, version)) }})
	return r
}

const (
	// scrapesMost bounds how many are answered at one time: each asks NATS.
	scrapesMost = 4
	// answerTime bounds one answer, below the ten seconds that Prometheus waits.
	answerTime = 8 * time.Second
	// askTime bounds what one collector asks of others, below that.
	askTime = 3 * time.Second
)

// Handler answers what Prometheus asks. What can't be told is left out of the answer, and is no reason to tell nothing.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.all, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesMost, Timeout: answerTime,
	})
}
