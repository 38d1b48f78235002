package metrics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// kind is a metric's type, as Prometheus calls it.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
)

// metric is what a metric is declared with.
type metric struct {
	name    string
	kind    kind
	by      string // who tells it, for the page
	help    string
	labels  []string
	buckets []float64 // of a histogram
}

// Who tells a metric.
const (
	byEvery       = "every role"
	byProducer    = "producer"
	byBuilder     = "builder"
	byController  = "controller"
	byActing      = "acting controller"
	byDistributor = "distributor"
	byStatuses    = "statuses"
	byUp          = "up"
)

// declared lists every metric that this package has, in the order of the page.
func declared() []metric {
	return slices.Concat(processMetrics(), natsMetrics(), producerMetrics(), builderMetrics(), controllerMetrics(),
		fleetMetrics(), storageMetrics(), distributorMetrics(), statusMetrics(), sinkMetrics())
}

// The buckets of what takes seconds. Each goes from what is good to what somebody is paged for.
var (
	natsBuckets     = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	storeBuckets    = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	decisionBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	fenceBuckets    = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}
	buildBuckets    = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400}
	rolloutBuckets  = []float64{1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400}
)

func (m *metric) counter(to prometheus.Registerer) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.name, Help: m.help}, m.labels)
	to.MustRegister(v)
	return v
}

func (m *metric) gauge(to prometheus.Registerer) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.name, Help: m.help}, m.labels)
	to.MustRegister(v)
	return v
}

func (m *metric) histogram(to prometheus.Registerer) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.name, Help: m.help, Buckets: m.buckets}, m.labels)
	to.MustRegister(v)
	return v
}

func (m *metric) desc() *prometheus.Desc { return prometheus.NewDesc(m.name, m.help, m.labels, nil) }

// told is a value of the metric now, for a collector.
func (m *metric) told(value float64, labels ...string) prometheus.Metric {
	how := prometheus.GaugeValue
	if m.kind == counter {
		how = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(m.desc(), how, value, labels...)
}

// truth is a boolean as a gauge has it.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// asker is a collector of metrics whose values are asked for at each scrape.
type asker struct {
	metrics []metric
	ask     func(tell func(prometheus.Metric))
}

// Describe lists the metrics that it may tell.
func (a *asker) Describe(c chan<- *prometheus.Desc) {
	for i := range a.metrics {
		c <- a.metrics[i].desc()
	}
}

// Collect tells them.
func (a *asker) Collect(c chan<- prometheus.Metric) { a.ask(func(m prometheus.Metric) { c <- m }) }

// Page is the table of all metrics, in Markdown.
func Page() string {
	var out strings.Builder
	out.WriteString("| metric | type | labels | told by | what it is |\n| --- | --- | --- | --- | --- |\n")
	for _, m := range declared() {
		labels := "none"
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, labels, m.by, m.help)
	}
	return out.String()
}

// Names lists the names of all metrics.
func Names() []string {
	var out []string
	for _, m := range declared() {
		out = append(out, m.name)
	}
	return out
}
