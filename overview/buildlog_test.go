package overview

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func message(id, name string, p messages.VertexProgress, text string) *messages.BuildLog {
	p.ID = id
	return &messages.BuildLog{Attempt: 1, Vertex: name, Text: text, Progress: &p}
}

func TestALogIsFoldedIntoItsSteps(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var l Log
	for _, m := range []*messages.BuildLog{
		{Attempt: 1, Step: messages.StepClaimed, Text: "claimed by b1, attempt 1"},
		message("a", "[1/3] FROM base", messages.VertexProgress{Started: at}, ""),
		message("a", "", messages.VertexProgress{Parts: []messages.VertexPart{{Name: "layer", Current: 1000, Total: 4000}, {Name: "done", Completed: at}}}, ""),
		message("b", "[2/3] RUN make", messages.VertexProgress{Started: at}, ""),
		message("b", "[2/3] RUN make", messages.VertexProgress{Output: true}, "compiling\nlinking"),
		message("lost", "[9/9] RUN lost", messages.VertexProgress{Output: true}, "its beginning was lost"),
	} {
		l.Take(m)
	}
	if s := l.Steps[1]; s.State != LogStepRunning || s.Parts != "layer 1.0 kB of 4.0 kB" {
		t.Errorf("a step that fetches is %+v", s)
	}
	failed := message("b", "[2/3] RUN make", messages.VertexProgress{Started: at, Completed: at.Add(3 * time.Second)}, "exit code: 1")
	failed.Error = true
	l.Take(failed)
	l.Take(message("a", "[1/3] FROM base", messages.VertexProgress{Started: at, Completed: at.Add(2 * time.Second)}, "done in 2s"))
	l.Take(message("c", "[3/3] COPY", messages.VertexProgress{Completed: at, Cached: true}, "cached"))
	l.Take(&messages.BuildLog{Attempt: 1, Text: "warning: old\nbase"})
	l.Take(&messages.BuildLog{Attempt: 2, Vertex: "[1/1] RUN", Text: "an older builder's"})
	var got []string
	for _, s := range l.Steps {
		got = append(got, fmt.Sprintf("%d %s %s %s %q", s.N, s.Name, s.State, s.Took, s.Text()))
	}
	want := []string{
		`1 claimed (attempt 1): claimed by b1, attempt 1 note 0s ""`,
		`2 [1/3] FROM base done 2s ""`,
		`3 [2/3] RUN make failed 3s "compiling\nlinking\nexit code: 1\n"`,
		`4 [9/9] RUN lost stopped 0s "its beginning was lost\n"`, // by the next attempt
		`5 [3/3] COPY cached 0s ""`,
		`6 warning: old note 0s "base\n"`,
		`7 [1/1] RUN note 0s "an older builder's\n"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestALogTakesBoundedRoom however much is written in however many steps; what failed is kept the longest.
func TestALogTakesBoundedRoom(t *testing.T) {
	var l Log
	line := strings.Repeat("x", 1000) + "\n"
	failed := message("failed", "RUN false", messages.VertexProgress{Completed: time.Now()}, "why it failed")
	failed.Error = true
	l.Take(message("first", "RUN first", messages.VertexProgress{Output: true}, "first"))
	l.Take(failed)
	for i := range 300 {
		for range 170 { // 50 MB in all
			l.Take(message(fmt.Sprint(i), fmt.Sprintf("RUN %d", i), messages.VertexProgress{Output: true}, line))
		}
	}
	held := 0
	for _, s := range l.Steps {
		held += len(s.Text()) + len(s.Name)
		if len(s.Text()) > 2*stepMost {
			t.Fatalf("step %s has %d bytes", s.Name, len(s.Text()))
		}
	}
	if held > logMost+2*stepMost+100*stepsMost || held < logMost/4 || l.Cut < 49_000_000 {
		t.Errorf("%d bytes are held, %d left out", held, l.Cut)
	}
	if s := l.find(1, "failed"); s == nil || s.Text() != "why it failed\n" {
		t.Errorf("of the step that failed there is %+v", s)
	}
	if last := l.last(); !strings.HasSuffix(last.Text(), line) {
		t.Error("the end of the last step is not there")
	}
	for i := range 3 * stepsMost {
		l.Take(&messages.BuildLog{Attempt: 1, Text: fmt.Sprintf("remark %d", i)})
	}
	if len(l.Steps) != stepsMost || l.Dropped == 0 || l.bytes < 0 {
		t.Errorf("%d steps, %d dropped, %d bytes", len(l.Steps), l.Dropped, l.bytes)
	}
}

func FuzzALogTakesAnything(f *testing.F) {
	f.Add("v", "text\n", "id", true, false, 1)
	f.Add("", "\xff\n\n", "", false, true, -3)
	f.Fuzz(func(t *testing.T, vertex, text, id string, output, wrong bool, attempt int) {
		var l Log
		for range 3 {
			l.Take(&messages.BuildLog{Attempt: attempt, Vertex: vertex, Text: text, Error: wrong})
			l.Take(&messages.BuildLog{Attempt: attempt, Vertex: vertex, Text: text, Error: wrong, Progress: &messages.VertexProgress{ID: id, Output: output}})
		}
		l.End()
	})
}
