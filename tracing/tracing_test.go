package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/tracing"
	"github.com/fenceline/fenceline/tracing/tracingtest"
)

func fromEnvironment(t *testing.T) *tracing.Tracer {
	t.Helper()
	tr, err := tracing.FromEnvironment(t.Context(), tracing.Process{Service: "fenceline-test", Instance: "n1", Version: "1"}, zerolog.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func named(name string) func(tracingtest.Span) bool {
	return func(s tracingtest.Span) bool { return s.Name == name }
}

// TestATraceLeadsThroughRoles as traceparents carry it, whose spans are made in any order.
func TestATraceLeadsThroughRoles(t *testing.T) {
	c := tracingtest.New(t)
	c.Use(t)
	tr := fromEnvironment(t)
	ctx, hook := tr.Start(t.Context(), "", "webhook", tracing.Serving)
	_, step := tracing.Start(ctx, "step")
	step.End(errors.New("fetching https://user:p@pass-word@example.com/r.git: 403"))
	rollout := tr.Reserve(hook.Traceparent())
	tr.Over(rollout, "preload", time.Now().Add(-time.Hour), time.Now(), nil)
	tr.Over(hook.Traceparent(), "rollout", time.Now().Add(-time.Hour), time.Time{}, nil, tracing.AsReserved(rollout))
	hook.End(nil)
	root, inner := c.Await(t, "the webhook", named("webhook")), c.Await(t, "the step", named("step"))
	of, preload := c.Await(t, "the rollout", named("rollout")), c.Await(t, "the preload", named("preload"))
	if root.Parent != "" || inner.Parent != root.ID || of.Parent != root.ID || preload.Parent != of.ID {
		t.Errorf("the spans hang as %+v", c.Spans())
	}
	for _, s := range c.Spans() {
		if s.Trace != messages.TraceID(hook.Traceparent()) || s.Service != "fenceline-test" {
			t.Errorf("%+v is of another trace", s)
		}
	}
	if of.End.Sub(of.Start) < time.Hour {
		t.Errorf("the rollout took %s", of.End.Sub(of.Start))
	}
	if strings.Contains(inner.Failed, "pass-word") || !strings.Contains(inner.Failed, "https://example.com/r.git: 403") {
		t.Errorf("the step failed as %q", inner.Failed)
	}
}

// TestNothingIsTracedWithoutTheVariables and a traceparent passes on as it came.
func TestNothingIsTracedWithoutTheVariables(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"none is set":         {},
		"the SDK is disabled": {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"no exporter":         {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"only a name":         {"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range env {
				t.Setenv(k, v)
			}
			before := runtime.NumGoroutine()
			tr := fromEnvironment(t)
			if tr != nil || runtime.NumGoroutine() > before {
				t.Errorf("a tracer %v, %d goroutines before and %d after", tr, before, runtime.NumGoroutine())
			}
			const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
			ctx, s := tr.Start(t.Context(), given, "webhook")
			if s.Traceparent() != given || tr.Reserve(given) != given || tr.ForLibrary() != nil {
				t.Errorf("%s became %s and %s", given, s.Traceparent(), tr.Reserve(given))
			}
			s.Say(tracing.Fleet("f"))
			s.Note("x")
			s.End(errors.New("x"))
			if _, s := tracing.Start(ctx, "step"); s.Traceparent() != "" {
				t.Error("a step is traced")
			}
			tr.Over(given, "queued", time.Now(), time.Now(), nil)
		})
	}
}

// TestVariablesThatCantBe are told of by name, without a secret of them.
func TestVariablesThatCantBe(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"an exporter that is not known": {map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, `OTEL_TRACES_EXPORTER: "zipkin" is none of otlp, console, none`},
		"a sampler that is not known":   {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "half"}, `OTEL_TRACES_SAMPLER: "half" is none of`},
		"a share above one": {
			map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10%"},
			`OTEL_TRACES_SAMPLER_ARG: "10%" is no share`,
		},
		"a protocol that is not known": {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, `OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is none of grpc, http/protobuf`},
		"headers without a name": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS": "a=b,Authorization Bearer pass-word"},
			"OTEL_EXPORTER_OTLP_HEADERS: its part 2 is no header: give NAME=VALUE,NAME=VALUE",
		},
		"headers with a value that is not encoded": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Authorization=pass-word%"},
			"OTEL_EXPORTER_OTLP_TRACES_HEADERS: its part 1 is no header",
		},
		"a certificate that is not there": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/not/there.pem"},
			"OTEL_EXPORTER_OTLP_CERTIFICATE: open /not/there.pem",
		},
		"a time that is none": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"},
			`OTEL_EXPORTER_OTLP_TIMEOUT: "10s" is no number of milliseconds`,
		},
		"an endpoint without a scheme, for gRPC": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			"OTEL_EXPORTER_OTLP_ENDPOINT: is not the URL of a collector: give one such as http://collector:4317",
		},
		"a path, for gRPC": {
			map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://u:pass-word@collector:4317/v1/traces", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: has a path, which gRPC has none of",
		},
		"https in the clear": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "https://u:pass-word@collector:4317", "OTEL_EXPORTER_OTLP_INSECURE": "true", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			"OTEL_EXPORTER_OTLP_INSECURE: is true, while the collector's URL begins with https",
		},
		"http with TLS": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_TRACES_INSECURE": "False"},
			"OTEL_EXPORTER_OTLP_TRACES_INSECURE: is False, while the collector's URL begins with http:",
		},
		"insecure, somehow": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_INSECURE": "1"},
			`OTEL_EXPORTER_OTLP_INSECURE: "1" is neither true nor false`,
		},
		"a compression that is not known": {
			map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"},
			`OTEL_EXPORTER_OTLP_COMPRESSION: "zstd" is none of gzip, none`,
		},
		"an endpoint without a scheme": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "user:pass-word@collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: is not the URL of a collector"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := tracing.FromEnvironment(t.Context(), tracing.Process{}, zerolog.New(io.Discard))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "pass-word") {
				t.Errorf("the error is %v, not %q", err, c.want)
			}
		})
	}
}

// TestACollectorThatHangsDelaysNothing: work goes on, what waits is bounded, and the end comes.
func TestACollectorThatHangsDelaysNothing(t *testing.T) {
	hanging := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hanging }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(hanging) })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	tr, err := tracing.FromEnvironment(t.Context(), tracing.Process{Service: "s"}, zerolog.New(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 50_000 { // were each to wait for the collector, this would never end
		_, s := tr.Start(context.Background(), "", "webhook", tracing.Saying(tracing.Text("x", strings.Repeat("x", 10_000))))
		s.End(nil)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 30<<20 {
		t.Errorf("what waits takes %d MB", grown>>20)
	}
	closed := make(chan struct{})
	go func() { tr.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("the end waits for the collector")
	}
}

// TestACollectorThatIsAwayIsToldOfOnce in the log.
func TestACollectorThatIsAwayIsToldOfOnce(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:pass-word@127.0.0.1:1")
	var log bytes.Buffer
	tr, err := tracing.FromEnvironment(t.Context(), tracing.Process{Service: "s"}, zerolog.New(zerolog.SyncWriter(&log)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, s := tr.Start(context.Background(), "", "webhook")
		s.End(nil)
	}
	tr.Close()
	if text := log.String(); strings.Count(text, "spans can't be sent") > 1 || strings.Contains(text, "pass-word") {
		t.Errorf("the log is %s", text)
	}
}

// TestTheSamplerIsHonouredThroughTheChain: who begins a trace decides, and says so to the next.
func TestTheSamplerIsHonouredThroughTheChain(t *testing.T) {
	c := tracingtest.New(t)
	c.Use(t)
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	first := fromEnvironment(t)
	_, hook := first.Start(t.Context(), "", "dropped webhook")
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
	second := fromEnvironment(t)
	_, build := second.Start(t.Context(), hook.Traceparent(), "dropped build")
	if !strings.HasSuffix(build.Traceparent(), "-00") || messages.TraceID(build.Traceparent()) != messages.TraceID(hook.Traceparent()) {
		t.Errorf("%s led to %s", hook.Traceparent(), build.Traceparent())
	}
	hook.End(nil)
	build.End(nil)
	_, kept := second.Start(t.Context(), "", "kept")
	kept.End(nil)
	c.Await(t, "the last", named("kept"))
	if n := len(c.Spans()); n != 1 {
		t.Errorf("%d spans came: %+v", n, c.Spans())
	}
}

// TestALibraryBeginsNoTrace: what it calls without a span leaves none.
func TestALibraryBeginsNoTrace(t *testing.T) {
	c := tracingtest.New(t)
	c.Use(t)
	tr := fromEnvironment(t)
	library := tr.ForLibrary().Tracer("library")
	_, alone := library.Start(t.Context(), "look")
	if s := alone.SpanContext(); !s.IsValid() || s.IsSampled() {
		t.Errorf("a server is told %+v", s)
	}
	alone.End()
	ctx, build := tr.Start(t.Context(), "", "build")
	_, call := library.Start(ctx, "call")
	call.End()
	build.End(nil)
	of, in := c.Await(t, "the build", named("build")), c.Await(t, "the call", named("call"))
	if in.Parent != of.ID || len(c.Spans()) != 2 {
		t.Errorf("these came: %+v", c.Spans())
	}
}

// TestWhatIsNotTracedSaysNothingOfATrace in the log, and what is names it.
func TestWhatIsNotTracedSaysNothingOfATrace(t *testing.T) {
	for id, want := range map[string]string{"": `{"message":"x"}`, "4bf92f35": `{"trace":"4bf92f35","message":"x"}`} {
		var line, all bytes.Buffer
		tracing.Logged(new(zerolog.New(&line)).Log(), id).Msg("x")
		logger := tracing.Logged(zerolog.New(&all).With(), id).Logger()
		logger.Log().Msg("x")
		if strings.TrimSpace(line.String()) != want || strings.TrimSpace(all.String()) != want {
			t.Errorf("of trace %q: %s and %s", id, &line, &all)
		}
	}
}
