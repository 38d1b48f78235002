package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal/terminaltest"
)

// vertexLog is what a builder says of a step.
func vertexLog(text string, p *messages.VertexProgress) *messages.BuildLog {
	return &messages.BuildLog{
		BuildRef: messages.BuildRef{Build: "base-dddddddd", Pipeline: "base", Order: 14}, Attempt: 2, Vertex: "[2/3] RUN make " + hostile, Text: text, Progress: p,
	}
}

// finish ends the running build.
func finish(t *testing.T, c *queue.Client) {
	t.Helper()
	_, err := store.Builds(c).Modify(t.Context(), "base-dddddddd", func(r *messages.BuildRecord) error {
		r.State, r.Announced = messages.BuildStateFailed, true
		r.Failure = &messages.Failure{Class: messages.FailureUser, Reason: hostile, Fix: "mend it"}
		return nil
	})
	queuetest.Must(t, err)
}

// TestLogsAreDrawn on a terminal: steps run, are folded, and what failed is told at the end.
func TestLogsAreDrawn(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	c := installation(t)
	prepare(t, c)
	term := terminaltest.Emulate(t, 100, 40)
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- Execute(t.Context(), NewRoot(), []string{"logs", "-f", "base-dddddddd"}, strings.NewReader(""), term.File, &errs)
	}()
	term.Shows("[+] Building")
	began := time.Now()
	publish(t, c, vertexLog("", &messages.VertexProgress{ID: "a", Started: began}))
	publish(t, c, vertexLog("compiling "+hostile, &messages.VertexProgress{ID: "a", Output: true}))
	term.Shows("=> [2/3] RUN make evil", "=> => # checked forged")
	publish(t, c, vertexLog("done in 1s", &messages.VertexProgress{ID: "a", Started: began, Completed: began.Add(time.Second)}))
	term.Hides("=> => # checked forged")
	finish(t, c)
	if status := <-ended; status != ExitDone {
		t.Errorf("it ends with %d: %s", status, errs.String())
	}
	term.Shows("base-dddddddd: failed", "fix: mend it")
	harmless(t, []string{"logs -f"}, term.Screen())
}

// TestLogsInLines where nothing is to be drawn: numbered, or as they are where an older builder sent them.
func TestLogsInLines(t *testing.T) {
	t.Setenv("TERM", "xterm")
	for name, test := range map[string]struct {
		args    []string
		noColor string
		kind    string
		old     bool
		want    string
	}{
		"--plain":          {[]string{"--plain"}, "", "xterm", false, " compiling evil"},
		"NO_COLOR":         {nil, "1", "xterm", false, " compiling evil"},
		"TERM=dumb":        {nil, "", "dumb", false, " compiling evil"},
		"an older builder": {nil, "", "xterm", true, "-- [2/3] RUN make"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColor)
			t.Setenv("TERM", test.kind)
			c := installation(t)
			prepare(t, c)
			term := terminaltest.Emulate(t, 100, 40)
			ended := make(chan int, 1)
			var errs bytes.Buffer
			go func() {
				ended <- Execute(t.Context(), NewRoot(), append([]string{"logs", "-f", "base-dddddddd"}, test.args...), strings.NewReader(""), term.File, &errs)
			}()
			if began := time.Now(); test.old {
				publish(t, c, vertexLog("", nil))
				publish(t, c, vertexLog("compiling "+hostile, nil))
			} else {
				publish(t, c, vertexLog("", &messages.VertexProgress{ID: "a", Started: began}))
				publish(t, c, vertexLog("compiling "+hostile, &messages.VertexProgress{ID: "a", Output: true}))
			}
			term.Shows(test.want)
			finish(t, c)
			if status := <-ended; status != ExitDone {
				t.Errorf("it ends with %d: %s", status, errs.String())
			}
			term.Shows("fix: mend it")
			harmless(t, []string{"logs", name}, term.Screen())
			if written := term.Written(); !test.old && strings.Contains(written, "\x1b") {
				t.Errorf("it draws: %q", written)
			}
		})
	}
}

// TestDrawnLogsFitTheTerminal, have more steps than it has rows, follow its size, and leave it as it was when they are interrupted.
func TestDrawnLogsFitTheTerminal(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	prepare(t, c)
	term := terminaltest.Emulate(t, 100, 16)
	cmd := process(t, term, "logs -f base-dddddddd --nats "+server.URL())
	term.Shows("[+] Building")
	began := time.Now()
	for i := range 40 {
		l := vertexLog("", &messages.VertexProgress{ID: fmt.Sprint("v", i), Started: began})
		l.Vertex = fmt.Sprintf("[%d/40] RUN step %d %s", i+1, i+1, strings.Repeat("図", 60))
		publish(t, c, l)
	}
	for _, size := range [][2]int{{100, 16}, {60, 12}, {120, 30}} {
		term.Resize(size[0], size[1])
		term.Until(fmt.Sprintf("a step a row at %v", size), func(screen string) bool {
			_, block, found := strings.Cut(screen[max(0, strings.LastIndex(screen, "[+] Building")):], "\n")
			for row := range strings.Lines(block) {
				if row = strings.TrimRight(row, " \n"); strings.Contains(row, "=> [") && !strings.HasSuffix(row, "s") { // it ends in a time
					return false
				}
			}
			return found && strings.Contains(block, "[40/40]")
		})
	}
	term.Type("\x03")
	_ = cmd.Wait() // it was interrupted
	term.Shows("fenceline: interrupted: build base-dddddddd goes on without this command")
	if strings.Contains(term.Written(), "CANCELED") {
		t.Errorf("steps of a build that goes on are shown as stopped:\n%s", term.Screen())
	}
	restored(t, term)
}

// TestWhatIsWaitedForGoesOn when its command is interrupted, and how to end it is said.
func TestWhatIsWaitedForGoesOn(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	ctx, stop := context.WithCancel(t.Context())
	notes := terminaltest.Emulate(t, 100, 40)
	s := &session{queue: c, out: io.Discard, notes: notes.File}
	ended := make(chan error, 1)
	go func() { ended <- s.awaitBuild(ctx, "base-dddddddd", time.Minute, true) }()
	notes.Shows("build base-dddddddd")
	stop()
	if err := <-ended; err == nil || interrupted(ctx, err) || !strings.Contains(err.Error(), "interrupted: build base-dddddddd goes on") || !strings.Contains(err.Error(), "'fenceline cancel base-dddddddd' ends it") {
		t.Errorf("waiting for a build ends with %v", err)
	}
	_, err := s.awaitApplied(ctx, messages.FleetRecord{Fleet: "production", Epoch: 99}, time.Minute)
	if !stands(err) || interrupted(ctx, err) || !strings.Contains(err.Error(), "decided, but the fence config has not followed yet: interrupted") {
		t.Errorf("waiting for the fence config ends with %v", err)
	}
}

// TestSubmitShowsProgress beside its output, which has the build's end.
func TestSubmitShowsProgress(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	publish(t, c, vertexLog("", &messages.VertexProgress{ID: "a", Started: noon()}))
	publish(t, c, vertexLog("compiling", &messages.VertexProgress{ID: "a", Output: true}))
	var out bytes.Buffer
	notes := terminaltest.Emulate(t, 100, 40)
	s := &session{queue: c, out: &out, notes: notes.File}
	ended := make(chan error, 1)
	go func() { ended <- s.awaitBuild(context.WithoutCancel(t.Context()), "base-dddddddd", time.Minute, true) }()
	notes.Shows("compiling")
	finish(t, c)
	if err := <-ended; err == nil || !strings.HasPrefix(out.String(), "base-dddddddd: failed") || strings.Contains(out.String(), "compiling") {
		t.Errorf("it ends with %v and prints %q", err, out.String())
	}
}
