// Package tracingtest is a collector of traces for tests.
package tracingtest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what senders may pack batches with
	"google.golang.org/grpc/metadata"
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

// Collector takes spans in OTLP over HTTP and over gRPC, at one address.
type Collector struct {
	URL    string
	CAFile string // what proves it to be it, where it speaks TLS

	grpc *grpc.Server

	mu     sync.Mutex
	spans  []Span
	raw    [][]byte
	calls  []string      // how batches came: http or grpc, with the header authorization
	change chan struct{} // closed at the next span
}

// New starts a collector that ends with the test.
func New(t testing.TB) *Collector {
	t.Helper()
	return start(t, (*httptest.Server).Start)
}

// NewTLS is New of one that speaks TLS.
func NewTLS(t testing.TB) *Collector {
	t.Helper()
	c := start(t, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	})
	return c
}

func start(t testing.TB, listen func(*httptest.Server)) *Collector {
	t.Helper()
	c := &Collector{change: make(chan struct{}), grpc: grpc.NewServer()}
	collector.RegisterTraceServiceServer(c.grpc, overGRPC{c: c})
	server := httptest.NewUnstartedServer(c)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetHTTP2(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	listen(server)
	t.Cleanup(server.Close)
	c.URL = server.URL
	if ca := server.Certificate(); ca != nil {
		c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(c.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// overGRPC takes what comes over gRPC.
type overGRPC struct {
	collector.UnimplementedTraceServiceServer
	c *Collector
}

// Export takes one batch.
func (o overGRPC) Export(ctx context.Context, batch *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	raw, err := proto.Marshal(batch)
	if err != nil {
		return nil, err
	}
	o.c.take(batch, raw, "grpc "+strings.Join(metadata.ValueFromIncomingContext(ctx, "authorization"), ","))
	return &collector.ExportTraceServiceResponse{}, nil
}

// Use has the programs that the test starts, and what it makes by the environment, send spans here at once.
func (c *Collector) Use(t *testing.T) {
	t.Helper()
	c.UseOver(t, "http/protobuf")
}

// UseOver is Use, over a protocol: http/protobuf or grpc.
func (c *Collector) UseOver(t *testing.T, protocol string) {
	t.Helper()
	if c.CAFile != "" {
		t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", c.CAFile)
	}
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, "OTEL_METRICS_EXPORTER": "none", "OTEL_BSP_SCHEDULE_DELAY": "50",
	} {
		t.Setenv(name, value)
	}
}

// ServeHTTP takes one batch.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		c.grpc.ServeHTTP(w, r)
		return
	}
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
	c.take(&batch, raw, "http "+r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *Collector) take(batch *collector.ExportTraceServiceRequest, raw []byte, call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, raw)
	c.calls = append(c.calls, call)
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

// Calls are how the batches came: http or grpc, and the header authorization.
func (c *Collector) Calls() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.calls...)
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
