package e2e

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/tracing/tracingtest"
)

// chain is what the trace of a push has: each span's name, its service and the name of its parent.
var chain = []struct{ name, service, parent string }{
	{"request build", "fenceline-producer", "POST /hooks/generic"},
	{"queued", "fenceline-builder", "request build"},
	{"build", "fenceline-builder", "request build"},
	{"look up head", "fenceline-builder", "build"},
	{"fetch source", "fenceline-builder", "build"},
	{"pin bases", "fenceline-builder", "build"},
	{"solve", "fenceline-builder", "build"},
	{"check hooks", "fenceline-builder", "solve"},
	{"push", "fenceline-builder", "solve"},
	{"tag image", "fenceline-builder", "build"},
	{"announce", "fenceline-builder", "build"},
	{"rollout", "fenceline-controller", "build"},
	{"preload", "fenceline-controller", "rollout"},
	{"pull", "fenceline-distributor", "rollout"},
	{"trial", "fenceline-distributor", "rollout"},
	{"decide", "fenceline-controller", "rollout"},
	{"flip", "fenceline-controller", "rollout"},
	{"set fence config", "fenceline-controller", "flip"},
}

// TestOneTraceFromWebhookToFlip through roles and a buildkitd that are processes of their own, with what
// logs, records and refusals say of it.
func TestOneTraceFromWebhookToFlip(t *testing.T) {
	c := tracingtest.New(t)
	c.UseOver(t, "grpc")
	a := newApart(t, []pipeline{{name: "traced", fleet: fleetOf("apart")}})
	for _, r := range roles {
		if !strings.Contains(a.roles[r].Output(), "traces are sent") {
			t.Errorf("the %s says nothing of traces:\n%s", r, a.roles[r].Tail(10))
		}
	}
	b := a.flip(t, "traced", exporting("traced"))
	root := c.Await(t, "the webhook", func(s tracingtest.Span) bool {
		return s.Name == "POST /hooks/generic" && s.Service == "fenceline-producer"
	})
	on := func(name, service string) func(tracingtest.Span) bool {
		return func(s tracingtest.Span) bool {
			return s.Trace == root.Trace && s.Name == name && strings.HasPrefix(s.Service, service)
		}
	}
	for _, want := range chain {
		s := c.Await(t, want.name, on(want.name, want.service))
		parent := c.Await(t, "what is above "+want.name, func(p tracingtest.Span) bool { return p.ID == s.Parent && p.Trace == s.Trace })
		if parent.Name != want.parent {
			t.Errorf("%s hangs below %s, not below %s", want.name, parent.Name, want.parent)
		}
		if s.Failed != "" {
			t.Errorf("%s failed: %s", want.name, s.Failed)
		}
	}
	c.Await(t, "a step of BuildKit's own", func(s tracingtest.Span) bool {
		return s.Trace == root.Trace && s.Service == "buildkitd" && strings.Contains(s.Name, "RUN echo installed")
	})
	build := c.Await(t, "the build", on("build", "fenceline-builder"))
	for name, value := range map[string]string{"cicd.pipeline.name": "traced", "cicd.pipeline.run.id": b.Build, "container.image.repo_digests": b.Image, "messaging.system": "nats"} {
		if build.Attributes[name] != value {
			t.Errorf("the build says of %s %q, not %q", name, build.Attributes[name], value)
		}
	}
	a.saysTrace(t, b, root.Trace)
	if all := bytes.Join(c.Raw(), nil); bytes.Contains(all, []byte(secretText)) {
		t.Error("a span has the webhook's secret")
	}
	if i := slices.IndexFunc(c.Spans(), func(s tracingtest.Span) bool {
		return strings.HasSuffix(s.Name, "/ListWorkers") && s.Trace != root.Trace
	}); i >= 0 {
		t.Errorf("looks at buildkitd begin traces of their own: %+v", c.Spans()[i])
	}
}

// saysTrace sees that a build's record and the logs of those who had to do with it say its trace, and a refusal one of its own.
func (a *apart) saysTrace(t *testing.T, b build, trace string) {
	t.Helper()
	var record struct{ Trace string }
	if err := json.Unmarshal([]byte(a.must(t, "builds", "show", b.Build, "-o", "json")), &record); err != nil || record.Trace != trace {
		t.Errorf("the build's record says the trace %q, error %v; not %s", record.Trace, err, trace)
	}
	for _, r := range roles {
		if !strings.Contains(a.roles[r].Output(), `"trace":"`+trace+`"`) {
			t.Errorf("the %s's log does not name the trace", r)
		}
	}
	refused := a.pushHook(a.git.URL+"/traced.git", "refs/heads/main", strings.Repeat("b", 40))
	refused.header = map[string][]string{"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	if got, err := a.send(t.Context(), refused); err != nil || got.status != 401 || got.Trace != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("an unsigned webhook gets %+v, %v", got, err)
	}
}
