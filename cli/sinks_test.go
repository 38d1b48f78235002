package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestASinkIsTriedAndWhatCameBackIsSaid truthfully, whatever it was.
func TestASinkIsTriedAndWhatCameBackIsSaid(t *testing.T) {
	var got string
	status := http.StatusAccepted
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = string(body)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "no_service")
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "fenceline.yaml")
	clitest.Write(t, file, "version: 1\nsinks:\n  - {name: chat, url: \""+server.URL+"\", format: slack}\npipelines: []\n")
	if out := done(t, "sinks", "test", "chat", "--config", file, "--type", "build.failed"); !strings.Contains(out, "sink chat has taken the event") || !strings.Contains(out, "202 Accepted") {
		t.Errorf("it says %s", out)
	}
	if !strings.Contains(got, `"text":"test: base: build`) {
		t.Errorf("it was sent %s", got)
	}
	status = http.StatusNotFound
	refused(t, "sink chat has not taken the event", "sinks", "test", "chat", "--config", file)
	refused(t, "404 Not Found: no_service", "sinks", "test", "chat", "--config", file)
	if s := fenceline(t, "sinks", "test", "chta", "--config", file); s.status != ExitUsage || !strings.Contains(s.err, `did you mean "chat"`) {
		t.Errorf("of another name it says %+v", s)
	}
	if s := fenceline(t, "sinks", "test", "chat", "--config", file, "--type", "build.faild"); s.status != ExitUsage || !strings.Contains(s.err, `did you mean "build.failed"`) {
		t.Errorf("of another type it says %+v", s)
	}
}

// TestSinksThatAreAwayAreShown by the list and by status.
func TestSinksThatAreAwayAreShown(t *testing.T) {
	c := installation(t)
	if out := done(t, "sinks", "list"); !strings.Contains(out, "no sink is sent anything") {
		t.Errorf("without sinks it says %s", out)
	}
	record := messages.SinkRecord{Sink: "chat", Waiting: 3, Oldest: time.Now().Add(-time.Hour), Problem: "chat.example.com: 503 Service Unavailable", Since: time.Now(), Next: time.Now().Add(time.Hour)}
	if _, err := store.Sinks(c).Create(t.Context(), messages.SinkKey("chat"), record); err != nil {
		t.Fatal(err)
	}
	if out := done(t, "sinks", "list"); !strings.Contains(out, "(next try at "+record.Next.Local().Format(time.TimeOnly)+")") {
		t.Errorf("of the next try it says %s", out)
	}
	for _, args := range [][]string{{"sinks", "list"}, {"status"}} {
		if out := done(t, args...); !strings.Contains(out, "chat.example.com: 503") || !strings.Contains(out, "3") {
			t.Errorf("%v says %s", args, out)
		}
	}
}

// TestSinksAsJSON have the words of docs/sinks.md, and none of how far each stream is read.
func TestSinksAsJSON(t *testing.T) {
	c := installation(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, r := range []messages.SinkRecord{
		{Sink: "audit", Sent: at, Written: at, Lost: 12, LostAt: at, Streams: map[string]messages.SinkAt{"fenceline-events": {Read: 9, Left: []uint64{7}}}},
		{Sink: "chat", Waiting: 3, Oldest: at, Problem: "chat.example.com: 503", Since: at, Next: at, Written: at},
		{Sink: "gone", Gone: "0123", Problem: "chat.example.com: 410", Since: at, Written: at},
		{Sink: "old", Unnamed: true, Problem: "chat.example.com: 503", Since: at, Written: at},
	} {
		if _, err := store.Sinks(c).Create(t.Context(), messages.SinkKey(r.Sink), r); err != nil {
			t.Fatal(err)
		}
	}
	const then = `"2026-01-02T03:04:05Z"`
	want := strings.ReplaceAll(`[{"sink":"audit","state":"ok","waiting":0,"lost":12,"last_lost":T,"last_sent":T,"as_of":T},`+
		`{"sink":"chat","state":"failing","waiting":3,"oldest":T,"lost":0,"problem":"chat.example.com: 503","problem_since":T,"next_try":T,"as_of":T},`+
		`{"sink":"gone","state":"disabled","waiting":0,"lost":0,"problem":"chat.example.com: 410","problem_since":T,"as_of":T},`+
		`{"sink":"old","state":"removed","waiting":0,"lost":0,"problem":"chat.example.com: 503","problem_since":T,"as_of":T}]`, "T", then)
	var got bytes.Buffer
	if err := json.Compact(&got, []byte(done(t, "sinks", "list", "-o", "json"))); err != nil || strings.TrimSpace(got.String()) != want {
		t.Errorf("it is %s, %v", got.String(), err)
	}
	if out := done(t, "sinks", "list"); !strings.Contains(out, "12, last ") {
		t.Errorf("it says %s", out)
	}
	if out := done(t, "status"); strings.Contains(out, "the sink old") || !strings.Contains(out, "the sink chat") {
		t.Errorf("status says %s", out)
	}
}

// TestDecisionsAreAudited, those that were refused too, with who and from where.
func TestDecisionsAreAudited(t *testing.T) {
	queuetest.FleetRecord(t, installation(t), "production")
	done(t, "hold", "production", "--reason", "release freeze")
	refused(t, "held", "hold", "production")
	refused(t, "there is no", "release", "prodction")
	done(t, "release", "production")
	found := decoded[lostCalls](t, "audit")
	var said []string
	for _, d := range found.Decisions {
		said = append(said, d.Action+" "+d.Fleet+" "+string(d.Outcome))
		if d.By != whoami() || d.Via != "command line" || d.From == "" || d.At.IsZero() || (d.Outcome == messages.OutcomeRefused) != (d.Why != "") {
			t.Errorf("a decision is %+v", d)
		}
	}
	if got := strings.Join(said, ", "); got != "hold production accepted, hold production refused, release  refused, release production accepted" {
		t.Errorf("they are %s", got)
	}
	if found.Decisions[0].Reason != "release freeze" || found.Decisions[2].About != "prodction" {
		t.Errorf("they are %+v", found.Decisions)
	}
	if out := done(t, "audit"); !strings.Contains(out, "hold production") || !strings.Contains(out, "release freeze") || !strings.Contains(out, "refused") {
		t.Errorf("it shows %s", out)
	}
}
