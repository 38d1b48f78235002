// Package tracingtest is a collector of traces for tests.
package tracingtest

import (
	"compress/gzip"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"
)

// Span is one that a collector was sent.
type Span struct {
	Trace, ID, Parent string // in hexadecimal; Parent is "" for a trace's first
	Service, Name     string
	Failed            string // why, or ""
	Attributes        map[string]string
	Start, End        time.Time
}

// Collector takes spans in OTLP over HTTP.
type Collector struct {
	URL string

	mu     sync.Mutex
	spans  []Span
	raw    [][]byte
	change chan struct{} // closed at the next span
}

// New starts a collector that ends with the test.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{change: make(chan struct{})}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Use has the programs that the test starts, and what it makes by the environment, send spans here at once.
func (c *Collector) Use(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "50",
	} {
		t.Setenv(name, value)
	}
}

// ServeHTTP takes one batch.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unpacked
	}
	raw, err := io.ReadAll(body)
	var batch collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(raw, &batch)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not a batch of spans", http.StatusBadRequest)
		return
	}
	c.take(&batch, raw)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) take(batch *collector.ExportTraceServiceRequest, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, raw)
	for _, of := range batch.GetResourceSpans() {
		service := attributes(of.GetResource().GetAttributes())["service.name"]
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.spans = append(c.spans, Span{
					Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
					Service: service, Name: s.GetName(), Failed: s.GetStatus().GetMessage(), Attributes: attributes(s.GetAttributes()),
					Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
				})
			}
		}
	}
	close(c.change)
	c.change = make(chan struct{})
}

func attributes(all []*common.KeyValue) map[string]string {
	as := map[string]string{}
	for _, a := range all {
		as[a.GetKey()] = a.GetValue().GetStringValue()
		if list := a.GetValue().GetArrayValue().GetValues(); len(list) > 0 {
			as[a.GetKey()] = list[0].GetStringValue()
		}
	}
	return as
}

// Spans are those that came so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Raw is all that came, as it came.
func (c *Collector) Raw() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.raw...)
}

// patience bounds Await: machines are busy.
const patience = 2 * time.Minute

// Await waits until a span has come that is meant, and returns it.
func (c *Collector) Await(t testing.TB, what string, meant func(Span) bool) Span {
	t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		c.mu.Lock()
		change, spans := c.change, c.spans
		c.mu.Unlock()
		for _, s := range spans {
			if meant(s) {
				return s
			}
		}
		select {
		case <-change:
		case <-late.C:
			t.Fatalf("no span of %s has come; these have: %+v", what, spans)
		}
	}
}
