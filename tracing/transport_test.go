package tracing_test

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/tracing"
	"github.com/fenceline/fenceline/tracing/tracingtest"
	"github.com/rs/zerolog"
)

// lines are those of a log.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// TestSpansComeOverEveryTransport that the variables name, with their headers.
func TestSpansComeOverEveryTransport(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for way, start := range map[string]func(testing.TB) *tracingtest.Collector{"in the clear": tracingtest.New, "by TLS": tracingtest.NewTLS} {
			t.Run(protocol+" "+way, func(t *testing.T) {
				c := start(t)
				c.UseOver(t, protocol)
				if c.CAFile == "" {
					t.Setenv("OTEL_EXPORTER_OTLP_INSECURE", "true")
				}
				t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20key")
				t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
				tr := fromEnvironment(t)
				ctx, hook := tr.Start(t.Context(), "", "webhook", tracing.Serving)
				_, step := tracing.Start(ctx, "step")
				step.End(nil)
				hook.End(nil)
				root, inner := c.Await(t, "the webhook", named("webhook")), c.Await(t, "the step", named("step"))
				if inner.Parent != root.ID || inner.Trace != root.Trace || root.Service != "fenceline-test" {
					t.Errorf("these came: %+v", c.Spans())
				}
				kind, _, _ := strings.Cut(protocol, "/")
				for _, call := range c.Calls() {
					if call != kind+" Bearer key" {
						t.Errorf("it came as %q", call)
					}
				}
			})
		}
	}
}

// TestTheVariablesForTracesWin over those for all of OpenTelemetry.
func TestTheVariablesForTracesWin(t *testing.T) {
	c := tracingtest.New(t)
	c.UseOver(t, "http/protobuf")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/elsewhere")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.URL)
	_, hook := fromEnvironment(t).Start(t.Context(), "", "webhook")
	hook.End(nil)
	c.Await(t, "the webhook", named("webhook"))
	if calls := c.Calls(); !strings.HasPrefix(calls[0], "grpc") {
		t.Errorf("they came as %q", calls)
	}
}

// TestACollectorThatIsNotTrustedGetsNothing, and the log says so, without a secret.
func TestACollectorThatIsNotTrustedGetsNothing(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			c := tracingtest.NewTLS(t)
			c.UseOver(t, protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "")
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=pass-word")
			t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
			log := make(lines, 100)
			tr, err := tracing.FromEnvironment(t.Context(), tracing.Process{Service: "s"}, zerolog.New(log))
			if err != nil {
				t.Fatal(err)
			}
			_, hook := tr.Start(t.Context(), "", "webhook")
			hook.End(nil)
			for told := ""; !strings.Contains(told, "spans can't be sent"); {
				if told = <-log; strings.Contains(told, "pass-word") {
					t.Error(told)
				}
			}
			tr.Close()
			if len(c.Spans()) > 0 {
				t.Errorf("%+v came", c.Spans())
			}
		})
	}
}
