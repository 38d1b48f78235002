package tracing

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// scope is what made the spans, as OpenTelemetry calls it.
const scope = "github.com/fenceline/fenceline"

// Process says which process it is whose spans are sent. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
// have the last word.
type Process struct {
	Service  string // such as fenceline-builder
	Instance string // its name among those
	Version  string // of fenceline
}

// Tracer begins spans. One that is nil begins none. It is safe for concurrent use.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// FromEnvironment makes the Tracer that the OTEL_… variables ask for: nil where they name no place to send
// spans to. Errors name the variable. It connects to nothing: a place that is not there is told of in the log.
func FromEnvironment(ctx context.Context, p Process, log zerolog.Logger) (*Tracer, error) {
	if !wanted() {
		return nil, nil //nolint:nilnil // a nil Tracer is one that traces nothing
	}
	if err := checkEnvironment(); err != nil {
		return nil, err
	}
	handleErrors(log)
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("tracing by the OTEL_… variables: %w", withoutValues(err))
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(p.Service), semconv.ServiceInstanceID(p.Instance), semconv.ServiceVersion(p.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w: give KEY=VALUE,KEY=VALUE", withoutValues(err))
	}
	log.Info().Msg("traces are sent where the OTEL_… variables say")
	return newTracer(sdktrace.NewBatchSpanProcessor(exporter), sdktrace.WithResource(about)), nil
}

// newTracer is a Tracer whose spans go to a processor. The sampler is that of OTEL_TRACES_SAMPLER.
func newTracer(to sdktrace.SpanProcessor, o ...sdktrace.TracerProviderOption) *Tracer {
	provider := sdktrace.NewTracerProvider(append(o, sdktrace.WithSpanProcessor(to), sdktrace.WithIDGenerator(ids{}))...)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope)}
}

// closeTime bounds how long the last spans may keep a process from ending.
const closeTime = 2 * time.Second

// Close sends what is not sent yet, in bounded time.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what could not be sent is in the log
}

// Endpoints are the variables whose presence asks for traces by itself.
var endpoints = of("ENDPOINT") //nolint:gochecknoglobals // a constant

// wanted tells whether the variables ask for traces.
func wanted() bool {
	if off, err := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); err == nil && off {
		return false
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "none":
		return false
	case "":
		return slices.ContainsFunc(endpoints, func(name string) bool { return os.Getenv(name) != "" })
	}
	return true
}

// The values that OpenTelemetry gives a meaning, and that fenceline has.
var (
	exporters    = []string{"otlp", "console", "none"}
	protocols    = []string{grpcProtocol, "http/protobuf"}
	compressions = []string{"gzip", "none"}
	samplers     = []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"}
)

// checkEnvironment finds what the libraries would pass over without a word, or tell of without the variable's name.
func checkEnvironment() error {
	for name, known := range map[string][]string{
		"OTEL_TRACES_EXPORTER": exporters, "OTEL_TRACES_SAMPLER": samplers,
		"OTEL_EXPORTER_OTLP_PROTOCOL": protocols, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": protocols,
		"OTEL_EXPORTER_OTLP_COMPRESSION": compressions, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": compressions,
	} {
		if v := os.Getenv(name); v != "" && !slices.Contains(known, v) {
			return fmt.Errorf("%s: %q is none of %s", name, v, strings.Join(known, ", "))
		}
	}
	if v := os.Getenv("OTEL_TRACES_SAMPLER_ARG"); v != "" && strings.HasSuffix(os.Getenv("OTEL_TRACES_SAMPLER"), "traceidratio") {
		if share, err := strconv.ParseFloat(v, 64); err != nil || !(share >= 0 && share <= 1) {
			return fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is no share of traces: give a number from 0 to 1, such as 0.1", v)
		}
	}
	for _, name := range endpoints {
		if v := os.Getenv(name); v != "" {
			// The URL may have a credential: the error says nothing of it.
			u, err := url.Parse(v)
			switch {
			case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
				return fmt.Errorf("%s: is not the URL of a collector: give one such as %s", name, example())
			case v == given(endpoints) && protocol() == grpcProtocol && strings.Trim(u.Path, "/") != "":
				return fmt.Errorf("%s: has a path, which gRPC has none of: give a URL such as %s", name, example())
			}
		}
	}
	if err := checkInsecure(); err != nil {
		return err
	}
	return checkValues()
}

// grpcProtocol is OTLP over gRPC, as OTEL_EXPORTER_OTLP_PROTOCOL calls it.
const grpcProtocol = "grpc"

// protocol is what is spoken with the collector.
func protocol() string { return cmp.Or(given(of("PROTOCOL")), "http/protobuf") }

// example is how a collector's URL looks.
func example() string {
	if protocol() == grpcProtocol {
		return "http://collector:4317"
	}
	return "http://collector:4318"
}

// given is the value of the last of these variables that has one: the one for traces goes before the one for all.
func given(names []string) (value string) {
	for _, name := range names {
		value = cmp.Or(os.Getenv(name), value)
	}
	return value
}

// checkInsecure finds what contradicts the endpoint's scheme. The exporter lets the variable win, so that spans and credentials
// would go in the clear to a URL that begins with https.
func checkInsecure() error {
	for _, name := range of("INSECURE") {
		v := os.Getenv(name)
		if v == "" {
			continue
		}
		insecure, err := strconv.ParseBool(v)
		if err != nil || !strings.EqualFold(v, strconv.FormatBool(insecure)) {
			return fmt.Errorf("%s: %q is neither true nor false", name, v)
		}
		if scheme, _, ok := strings.Cut(given(endpoints), "://"); ok && v == given(of("INSECURE")) && insecure == strings.EqualFold(scheme, "https") {
			return fmt.Errorf("%s: is %s, while the collector's URL begins with %s: that alone says it, so leave the variable out", name, v, scheme)
		}
	}
	return nil
}

// withoutValues keeps what a library says of a variable, without what is in others that may be secret.
func withoutValues(err error) error {
	text := err.Error()
	for _, name := range append([]string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}, endpoints...) {
		if v := os.Getenv(name); v != "" {
			text = strings.ReplaceAll(text, v, "("+name+")")
		}
	}
	return fmt.Errorf("%s", text)
}

// ChildEnvironment is this process's environment for a child that is no fenceline and reads the OTEL_… variables by itself: it is
// another service, it speaks the same protocol where none is said, and it sends traces only where fenceline does, to a collector.
func ChildEnvironment(service string) []string {
	env := append(os.Environ(), "OTEL_SERVICE_NAME="+service)
	unset := func(name string) bool { return os.Getenv(name) == "" }
	if unset("OTEL_EXPORTER_OTLP_PROTOCOL") {
		env = append(env, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf")
	}
	if unset("OTEL_METRICS_EXPORTER") {
		env = append(env, "OTEL_METRICS_EXPORTER=none")
	}
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); !wanted() || exporter != "" && exporter != "otlp" {
		env = append(env, "OTEL_TRACES_EXPORTER=none")
	}
	return env
}
