package e2e

import (
	"path/filepath"
	"testing"

	"github.com/fenceline/fenceline/tracing/tracingtest"
)

// TestUpIsTraced with the buildkitd that it starts, which is a service of its own.
func TestUpIsTraced(t *testing.T) {
	c := tracingtest.New(t)
	c.Use(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "") // buildkitd alone would speak gRPC
	fleet := fleetOf("traced")
	s := own(t, []pipeline{{name: "traced", fleet: fleet}}, "--fleet", fleet, "--node", fleet, "--apply", filepath.Join(t.TempDir(), "image"))
	s.flip(t, "traced", exporting("traced"))
	root := c.Await(t, "the webhook", func(s tracingtest.Span) bool { return s.Name == "POST /hooks/generic" && s.Service == "fenceline" })
	for _, name := range []string{"build", "pull", "flip", "apply"} {
		c.Await(t, name, func(s tracingtest.Span) bool {
			return s.Name == name && s.Trace == root.Trace && s.Service == "fenceline"
		})
	}
	c.Await(t, "BuildKit", func(s tracingtest.Span) bool { return s.Trace == root.Trace && s.Service == "buildkitd" })
}
