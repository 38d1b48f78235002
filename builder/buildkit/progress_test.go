package buildkit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client"
)

func TestHiderHidesEveryForm(t *testing.T) {
	hide := newHider(messages.NewSecret("ada:t0ken"), map[string]messages.Secret{"k": messages.NewSecret("first-line\nsecond-line\n"), "none": {}}).hide
	for text, want := range map[string]string{
		"a t0ken b":                             "a (secret) b",
		"Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=":    "Basic (secret)",
		"dDBrZW4=":                              "(secret)",
		"Zmlyc3QtbGluZQpzZWNvbmQtbGluZQo=":      "(secret)",
		"Zmlyc3QtbGluZQpzZWNvbmQtbGluZQ==":      "(secret)",
		"only second-line":                      "only (secret)",
		"https://bob:pw@example.com/x and more": "https://(secret)@example.com/x and more",
		"nothing here":                          "nothing here",
		"YWRhOnQwa2Vu, ada:t0ken":               "(secret), (secret)",
	} {
		if got := hide(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// following returns progress and what it has logged so far.
func following(secret string) (*progress, *[]messages.BuildLog) {
	var logs []messages.BuildLog
	p := newProgress(func(l messages.BuildLog) { logs = append(logs, l) }, newHider(messages.NewSecret(secret), nil))
	return p, &logs
}

func status(p *progress, s ...*client.SolveStatus) {
	ch := make(chan *client.SolveStatus, len(s))
	for _, one := range s {
		ch <- one
	}
	close(ch)
	p.follow(ch)
}

func TestSecretAcrossPiecesIsHidden(t *testing.T) {
	p, logs := following("s3cret-value")
	now := time.Now()
	status(p,
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "RUN x", Started: &now}}, Logs: []*client.VertexLog{{Vertex: "d", Stream: 1, Data: []byte("one\ns3cret")}}},
		&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "d", Stream: 1, Data: []byte("-value and on")}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "RUN x", Started: &now, Completed: &now, Error: "exit code: 1"}}},
	)
	var text strings.Builder
	for _, l := range *logs {
		text.WriteString(l.Text + "\n")
	}
	if strings.Contains(text.String(), "s3cret") || !strings.Contains(text.String(), "(secret) and on") {
		t.Errorf("logged:\n%s", text.String())
	}
	if got := p.tail(); got != "one\n(secret) and on" {
		t.Errorf("tail %q", got)
	}
	if last := (*logs)[len(*logs)-1]; !last.Error || last.Vertex != "RUN x" {
		t.Errorf("last message %+v", last)
	}
}

func TestSecretAcrossTheBorderOfALongLineIsHidden(t *testing.T) {
	const secret = "s3cret-välue"
	for shift := range 2 * len(secret) {
		p, logs := following(secret)
		line := strings.Repeat("x", maxPartial-len(secret)+shift) + secret + strings.Repeat("y", maxPartial)
		// Byte by byte around the length at which a line counts as one, so that any border is tried.
		for next := maxPartial; len(line) > 0; next = 1 {
			if len(line) < maxPartial {
				next = len(line)
			}
			status(p, &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "d", Stream: 1, Data: []byte(line[:next])}}})
			line = line[next:]
		}
		if len(*logs) == 0 {
			t.Fatal("nothing is passed on before the line's end")
		}
		status(p, &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Completed: new(time.Time)}}})
		var text strings.Builder
		for _, l := range *logs {
			text.WriteString(l.Text)
		}
		want := strings.Repeat("x", maxPartial-len(secret)+shift) + hidden + strings.Repeat("y", maxPartial)
		if text.String() != want {
			t.Errorf("shift %d: logged %q", shift, strings.NewReplacer(strings.Repeat("x", 64), "", strings.Repeat("y", 64), "").Replace(text.String()))
		}
	}
}

func TestBorderLeavesSecretsWhole(t *testing.T) {
	h := newHider(messages.NewSecret("abcabc"), map[string]messages.Secret{"long": messages.NewSecret("abcabcdef" + strings.Repeat("z", 30))})
	if n := h.border(strings.Repeat("x", maxPartial)); n != 0 {
		t.Errorf("%d bytes of a short line", n)
	}
	longest := len(h.values[0])
	line := strings.Repeat("x", maxPartial) + "abcabc" + strings.Repeat("y", longest-3)
	if n := h.border(line); n != maxPartial {
		t.Errorf("the border is at %d, in a secret", n)
	}
	if n := h.border(strings.Repeat("x", 100) + strings.Repeat("abc", maxPartial)); n != 100 {
		t.Errorf("the border is at %d of a line that ends in a chain of secrets", n)
	}
	if n := h.border(strings.Repeat("abc", 2*maxChain)); n < maxChain {
		t.Errorf("the border is at %d of a line that is one endless chain of secrets", n)
	}
}

func TestShortenCutsBetweenCharacters(t *testing.T) {
	for text, want := range map[string]string{"abc": "abc", "abcd": "abc…", "abäc": "ab…", "äbc": "äb…"} {
		if got := messages.Shorten(text, 3); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestProgressKeepsTheLastLinesAndBoundsMessages(t *testing.T) {
	p, logs := following("")
	status(p, &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "d", Data: []byte(strings.Repeat("line\n", 20_000) + "\xff\n")}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Completed: new(time.Time), Error: "x"}}})
	for _, l := range *logs {
		if len(l.Text) > maxText {
			t.Errorf("a message of %d bytes", len(l.Text))
		}
	}
	if n := strings.Count(p.tail(), "\n"); n != maxTail-1 {
		t.Errorf("%d lines are kept", n+1)
	}
	p.close()
	count := len(*logs)
	p.say(messages.BuildLog{Text: "late"})
	if len(*logs) != count {
		t.Error("logged after the end")
	}
}

func TestAStepThatEndsTwiceFailsTheSecondTime(t *testing.T) {
	p, logs := following("")
	began := time.Now()
	looked, done := began.Add(time.Millisecond), began.Add(time.Second)
	status(p,
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "RUN x", Started: &began, Completed: &looked}}},
		&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "d", Data: []byte("no such file\n")}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "RUN x", Started: &began, Completed: &done, Error: "exit code: 1"}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "RUN x", Started: &began, Completed: &done, Error: "exit code: 1"}}})
	if got := p.tail(); got != "no such file" {
		t.Errorf("tail %q", got)
	}
	if n := len(*logs); n != 3 || !(*logs)[2].Error {
		t.Errorf("logged %+v, want the two ends with the output between them", *logs)
	}
}

func TestALongNameAndLongLinesAreCut(t *testing.T) {
	p, logs := following("s3cret-value")
	name := strings.Repeat("x", maxName-6) + "s3cret-value" + strings.Repeat("z", maxName)
	status(p,
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: name, Started: new(time.Time)}}, Logs: []*client.VertexLog{{Vertex: "d", Data: []byte(strings.Repeat("y", 2*maxText) + "\n")}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: name, Completed: new(time.Time), Error: "x"}}})
	for _, l := range *logs {
		if len(l.Vertex) > maxName+len("…") || strings.Contains(l.Vertex, "s3c") {
			t.Errorf("a name of %d bytes, ending %q", len(l.Vertex), l.Vertex[len(l.Vertex)-20:])
		}
	}
	if n := len(p.tail()); n > maxLine+len("…") {
		t.Errorf("a line of %d bytes is kept for the error", n)
	}
}

func TestWhatGitTriesIsNoError(t *testing.T) {
	const complaint = "fatal: Not a valid object name 254c9bd26dd26787617a3b2122e797493ac14700^{commit}\n"
	for name, shown := range map[string]bool{
		"[internal] load git source https://git.example.com/a.git?ref=254c": false,
		"[2/2] ADD https://git.example.com/a.git#main /added":               false,
		"[stage-1 3/4] ADD https://git.example.com/a.git#main /added":       false,
		"[2/2] RUN git cat-file -t 254c":                                    true,
		"[2/2] RUN echo '[2/2] ADD '":                                       true,
	} {
		p, logs := following("")
		now := time.Now()
		status(p,
			&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: name, Started: &now}}, Logs: []*client.VertexLog{
				{Vertex: "d", Stream: 2, Data: []byte("Initialized\n" + complaint[:20])}, {Vertex: "d", Stream: 2, Data: []byte(complaint[20:] + "error: x\nFrom y\n")},
			}},
			&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: name, Started: &now, Completed: &now}}},
		)
		var text strings.Builder
		for _, l := range *logs {
			text.WriteString(l.Text + "\n")
		}
		if got := text.String(); strings.Contains(got, "fatal") != shown || strings.Contains(got, "error") != shown || !strings.Contains(got, "Initialized\n") || !strings.Contains(got, "From y\n") {
			t.Errorf("%s: logged\n%s", name, got)
		}
	}
}

func TestTheStatusOfARefusedPushIsKept(t *testing.T) {
	p, _ := following("")
	now := time.Now()
	status(p, &client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: "r", Name: "[2/2] RUN x", Started: &now}, {Digest: "e", Name: "exporting to image", Started: &now}},
		Logs: []*client.VertexLog{
			{Vertex: "e", Stream: 2, Data: []byte("error: unexpected status from POST request to http://127.0.0.1:5000/v2/a/blobs/uploads/: 507 Insufficient Storage\ndenied\nretrying in 1s\n")},
			{Vertex: "r", Stream: 2, Data: []byte("error: unexpected status from POST request to http://x/: 401 Unauthorized\n")},
		},
	})
	if got := p.refusal(); got != 507 {
		t.Errorf("status %d", got)
	}
}

// TestProgressTellsHowFarStepsAre for those who draw it: each message about a vertex says which one, and parts are told of
// seldom, with no text and no secret.
func TestProgressTellsHowFarStepsAre(t *testing.T) {
	p, logs := following("s3cret")
	now := time.Now()
	later := now.Add(3 * time.Second)
	part := func(at time.Time, current int64) *client.SolveStatus {
		return &client.SolveStatus{Statuses: []*client.VertexStatus{{ID: "layer s3cret", Vertex: "d", Current: current, Total: 100, Timestamp: at, Started: &now}}}
	}
	status(p,
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "FROM x", Started: &now}}},
		part(now, 1), part(now.Add(time.Millisecond), 2), part(now.Add(2*time.Millisecond), 3), part(now.Add(2*time.Second), 4), part(now.Add(2*time.Second), 5),
		&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: "d", Stream: 1, Data: []byte("out\n")}}},
		&client.SolveStatus{Warnings: []*client.VertexWarning{{Vertex: "d", Short: []byte("old")}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "d", Name: "FROM x", Started: &now, Completed: &later}}},
		&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: "e", Name: "RUN", Started: &now, Completed: &later, Error: "context canceled"}}},
	)
	var told []string
	for _, l := range *logs {
		g := l.Progress
		if g == nil {
			t.Fatalf("%+v says not how far it is", l)
		}
		said := g.ID + " " + l.Text
		for _, part := range g.Parts {
			said += fmt.Sprintf("%s %d/%d", part.Name, part.Current, part.Total)
			if l.Vertex != "" || l.Text != "" {
				t.Errorf("a part has something for those who show lines: %+v", l)
			}
		}
		if g.Output {
			said += " output"
		}
		if g.Stopped {
			said += " stopped"
		}
		if !g.Completed.IsZero() {
			said += " in " + g.Completed.Sub(g.Started).String()
		}
		told = append(told, said)
	}
	want := []string{"d ", "d layer (secret) 1/100", "d layer (secret) 4/100", "d out output", "d warning: old output", "d layer (secret) 5/100", "d done in 3s in 3s", "e stopped stopped in 3s"}
	if !slices.Equal(told, want) {
		t.Errorf("it tells %q, want %q", told, want)
	}
}
