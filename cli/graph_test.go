package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/producer"
)

const graphFile = `version: 1
pipelines:
  - {name: lower, repository: https://h/l.git, image: 127.0.0.1:1/own/lower, rebuild_on: {base: true}}
  - {name: upper, repository: https://h/u.git, image: 127.0.0.1:1/own/upper, webhook: {secret_file: elsewhere}}
  - {name: still, repository: https://h/s.git, image: 127.0.0.1:1/own/still, rebuild_on: {pipeline: false}}
  - {name: fresh, repository: https://h/f.git, image: 127.0.0.1:1/own/fresh}
`

// graphed is an installation in which lower is built on debian, and upper and still on lower.
func graphed(t *testing.T, debian string) (c *queue.Client, file string) {
	t.Helper()
	c = installation(t)
	for pipeline, source := range map[string]string{"lower": debian, "upper": "127.0.0.1:1/own/lower:latest", "still": "127.0.0.1:1/own/lower:latest"} {
		r := &messages.BuildRequested{
			Build: pipeline + "-1", Ref: "refs/heads/main", Commit: strings.Repeat("1", 40), Cause: messages.CausePush, Received: time.Now().UTC(),
			Pipeline: messages.Pipeline{Name: pipeline, Repository: "https://h/x.git", Branch: "main", Dockerfile: "Dockerfile", Image: "127.0.0.1:1/own/" + pipeline, HooksDir: "/h", Timeout: 1e9, Attempts: 1},
		}
		queuetest.Must(t, c.Publish(queuetest.Within(t), "", r))
		repository := source[:strings.LastIndex(source, ":")]
		queuetest.Must(t, c.Publish(queuetest.Within(t), "", &messages.BasePinned{
			BuildRef: messages.BuildRef{Build: r.Build, Pipeline: pipeline, Order: 1}, Attempt: 1,
			Bases: []messages.PinnedBase{{Source: source, Image: messages.Image(repository + "@sha256:" + strings.Repeat("a", 64))}},
		}))
	}
	file = filepath.Join(t.TempDir(), "fenceline.yaml")
	clitest.Write(t, file, graphFile)
	return c, file
}

func TestGraph(t *testing.T) {
	const debian = "docker.io/library/debian:bookworm"
	c, file := graphed(t, debian)
	look := messages.BaseLook{Source: debian, Digest: "sha256:" + strings.Repeat("b", 64), Looker: "x"}
	_, err := store.BaseLooks(c).Create(queuetest.Within(t), messages.BaseKey(debian), look)
	queuetest.Must(t, err)
	want := debian + `
└─ lower  127.0.0.1:1/own/lower  (docker.io/library/debian:bookworm has changed: bbbbbbbbbbbb, built with aaaaaaaaaaaa)
   ├─ upper  127.0.0.1:1/own/upper
   └─ still  127.0.0.1:1/own/still  (does not follow 127.0.0.1:1/own/lower:latest: rebuild_on.pipeline is false)
fresh  127.0.0.1:1/own/fresh  never built
`
	if out := done(t, "graph", "--config", file); out != want {
		t.Errorf("it says\n%s; want\n%s", out, want)
	}
	dot := done(t, "graph", "--config", file, "--dot")
	for _, line := range []string{`"docker.io/library/debian:bookworm" -> "lower";`, `"lower" -> "upper";`, `"lower" -> "still" [style=dashed];`, `"fresh" [shape=box];`} {
		if !strings.Contains(dot, line) {
			t.Errorf("%s is not in\n%s", line, dot)
		}
	}
	g := decoded[[]producer.GraphPipeline](t, "graph", "--config", file)
	if len(g) != 4 || !g[0].Bases[0].Followed || g[0].Bases[0].Now != look.Digest || g[1].Bases[0].Pipelines[0] != "lower" || g[3].Build != "" {
		t.Errorf("%+v", g)
	}
	if s := fenceline(t, "graph", "--config", filepath.Join(t.TempDir(), "none.yaml")); s.status == 0 || !strings.Contains(s.err, "none.yaml") {
		t.Errorf("of no file: %d, %s", s.status, s.err)
	}
}

// TestBasesThatCannotBeSeen shows in status what a producer met, and in doctor what meets this machine.
func TestBasesThatCannotBeSeen(t *testing.T) {
	busy, private := true, false
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); private && user != "reader" {
			w.Header().Set("WWW-Authenticate", `Basic realm="up"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if busy {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("c", 64))
	}))
	t.Cleanup(registry.Close)
	source := strings.TrimPrefix(registry.URL, "http://") + "/library/debian:bookworm"
	c, file := graphed(t, source)
	look := messages.BaseLook{Source: source, Looker: "x", Problem: "429 Too Many Requests\x1b[31m", Failures: 2, Since: time.Now().UTC(), Again: time.Now().Add(time.Hour).UTC()}
	_, err := store.BaseLooks(c).Create(queuetest.Within(t), messages.BaseKey(source), look)
	queuetest.Must(t, err)
	if out := done(t, "status"); !strings.Contains(out, "problem: base "+source+" can't be looked at since ") || !strings.Contains(out, "429") || strings.Contains(out, "\x1b") {
		t.Errorf("it says\n%s", out)
	}
	clitest.Write(t, file, graphFile[:strings.Index(graphFile, "  - {name: upper")])
	if out := fenceline(t, "doctor", "producer", "--config", file).out; !strings.Contains(out, "PROBLEM  bases") || !strings.Contains(out, "429") {
		t.Errorf("doctor says\n%s", out)
	}
	busy = false
	if out := fenceline(t, "doctor", "producer", "--config", file).out; strings.Contains(out, "PROBLEM  bases") {
		t.Errorf("doctor says\n%s", out)
	}
	private = true
	if out := fenceline(t, "doctor", "producer", "--config", file).out; !strings.Contains(out, "PROBLEM  bases") {
		t.Errorf("without a login doctor says\n%s", out)
	}
	asUp(t, strings.TrimPrefix(registry.URL, "http://"), "reader", "word")
	if out := fenceline(t, "doctor", "producer", "--config", file).out; !strings.Contains(out, "1 base that pipelines follow can be seen") {
		t.Errorf("with the login of up doctor says\n%s", out)
	}
	queuetest.Must(t, queuetest.JetStream(t, c).DeleteKeyValue(t.Context(), c.Space().TriggersBucket())) // as before there was one
	if out := done(t, "status"); strings.Contains(out, "can't be looked at") {
		t.Errorf("it says\n%s", out)
	}
}
