package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/fenceline/fenceline/terminal/terminaltest"
	"golang.org/x/sys/unix"
)

// commandVariable has the command line that the test's own program carries out in place of tests, as a process of its own.
const commandVariable = "FENCELINE_TEST_COMMAND"

// panics is in its place for a view that panics.
const panics = "panics"

func TestMain(m *testing.M) {
	line := os.Getenv(commandVariable)
	if line == "" {
		os.Exit(m.Run())
	}
	if line == panics {
		v := &view{ctx: context.Background()} // without a board
		if _, err := v.program(os.Stdin, os.Stdout).Run(); err != nil {
			os.Exit(ExitFailed)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := Execute(ctx, NewRoot(), strings.Fields(line), os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// watched runs watch on a terminal, and returns what waits for its end and gives its exit status.
func watched(t *testing.T, term *terminaltest.Emulator, args ...string) (ended func() int) {
	t.Helper()
	return watchedOn(t, term, "xterm-256color", args...)
}

// watchedOn is watched on a terminal of a kind.
func watchedOn(t *testing.T, term *terminaltest.Emulator, kind string, args ...string) (ended func() int) {
	t.Helper()
	t.Setenv("TERM", kind)
	t.Setenv("NO_COLOR", "")
	ctx, stop := context.WithCancel(t.Context())
	var errs clitest.Output
	end := make(chan int, 1)
	go func() {
		end <- Execute(ctx, NewRoot(), append([]string{"watch"}, args...), term.File, term.File, &errs)
	}()
	wait := func() int {
		select {
		case status := <-end:
			end <- status
			return status
		case <-time.After(time.Minute):
			t.Errorf("it doesn't end: %s\n%s", errs.String(), term.Screen())
			return 0
		}
	}
	t.Cleanup(func() { stop(); wait() })
	return wait
}

// TestWatchView shows what is, and has a person decide after a word of theirs.
func TestWatchView(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	term := terminaltest.Emulate(t, 110, 40)
	ended := watched(t, term)
	term.Shows("> production  HELD  1/2 up  present 1/2", "HELD by ann", "rollout production-base-bbbbbbbb: held", "node-1", "SILENT  node-2", "watching")
	publish(t, c, &messages.BuildLog{BuildRef: messages.BuildRef{Build: "base-dddddddd", Pipeline: "base"}, Attempt: 2, Vertex: "[2/3] RUN make", Text: "compiling"})
	term.Type("l")
	term.Shows("builds' logs", "base-dddddddd -- [2/3] RUN make", "compiling")
	term.Type("l")
	term.Shows("what happens")

	held := func() *messages.Hold {
		e, err := store.Fleets(c).Current(t.Context(), "production")
		queuetest.Must(t, err)
		return e.Value.Hold
	}
	term.Type("r")
	term.Shows("RELEASE production, held by ann (release freeze)?")
	term.Type("no\r")
	term.Shows("nothing is done")
	term.Type("r")
	term.Shows("RELEASE production")
	term.Type("\x1b")
	term.Hides("RELEASE production")
	if held() == nil {
		t.Fatal("it released without a yes")
	}
	term.Type("r")
	term.Shows("RELEASE production, held by ann")
	_, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Hold = &messages.Hold{By: "bob", Reason: "it leaks", At: noon()}
		return nil
	})
	queuetest.Must(t, err)
	term.Type("yes\r")
	term.Shows("it was changed while you looked", "HELD by bob")
	if held() == nil {
		t.Fatal("it released a hold that nobody was asked about")
	}
	term.Type("ryes\r")
	term.Shows("production: released")
	term.Hides("HELD by bob") // the record comes by itself
	if held() != nil {
		t.Error("it is held still")
	}
	term.Type("r")
	term.Shows("production is not held")
	term.Type("h")
	term.Shows("HOLD production?")
	term.Type("freexx\x7f\x7fze\r")
	term.Shows("production: held (freeze)", "HELD by "+whoami(), "by "+whoami()+":")
	if h := held(); h == nil || h.Reason != "freeze" || h.By != whoami() {
		t.Errorf("it is held as %+v", h)
	}
	term.Type("h")
	term.Shows("production is held already")
	term.Type("a")
	term.Shows("no rollout of production waits for approval")
	term.Type("b")
	term.Shows("production has no earlier image to go back to")
	term.Type("p")
	term.Shows("behind or in trouble")

	_, err = queuetest.JetStream(t, c).Publish(t.Context(), "$KV.fenceline-fleets.production", []byte(wrecked))
	queuetest.Must(t, err)
	term.Shows("production  UNREADABLE", "nothing is decided until")
	term.Type("h")
	term.Shows("nothing can be decided")

	term.Type("q")
	if status := ended(); status != ExitDone {
		t.Errorf("it ends with %d", status)
	}
	restored(t, term)
}

// restored fails unless the terminal is as a shell wants it.
func restored(t *testing.T, term *terminaltest.Emulator) {
	t.Helper()
	term.Until("what was there before", func(string) bool { return !strings.Contains(afterLast(term.Written(), "\x1b[?1049"), "h") })
	if term.Raw() {
		t.Error("the keyboard is not given back")
	}
	if written := term.Written(); !strings.HasPrefix(afterLast(written, "\x1b[?25"), "h") {
		t.Error("the cursor is left hidden")
	}
}

// afterLast is the character that follows the last of a text, "" where there is none.
func afterLast(s, of string) string {
	i := strings.LastIndex(s, of)
	if i < 0 || i+len(of) >= len(s) {
		return ""
	}
	return s[i+len(of) : i+len(of)+1]
}

// TestWatchViewApproves and goes back.
func TestWatchViewApproves(t *testing.T) {
	c := installation(t)
	prepare(t, c)
	controlled(t, c)
	_, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error {
		r.Previous = messages.FleetImage{Image: imageTwo, Build: "base-bbbbbbbb", Order: 10}
		return nil
	})
	queuetest.Must(t, err)
	waits := messages.RolloutRecord{ID: "production-base-ffffffff", Fleet: "production", State: messages.RolloutApproval, Policy: messages.DefaultPolicy(), Members: []string{"node-9"}}
	waits.Ready.BuildRef, waits.Ready.Image = messages.BuildRef{Build: "base-ffffffff", Pipeline: "base", Order: 5}, imageTwo
	waits.Policy.Approval = true
	v := &view{ctx: t.Context(), s: &session{queue: c}, columns: 80, rows: 24, board: newBoard()}
	create(t, store.Rollouts(c), waits.ID, waits)
	e, err := store.Fleets(c).Current(t.Context(), "production")
	queuetest.Must(t, err)
	change(v.board, v.board.fleets, queue.Entry[messages.FleetRecord]{Key: "production", Value: e.Value})
	change(v.board, v.board.rollouts, queue.Entry[messages.RolloutRecord]{Key: waits.ID, Value: waits})
	v.look()
	v.ask("a")
	if !strings.Contains(v.asking.asks, "APPROVE production-base-ffffffff: flip production to "+overview.Short(imageTwo)) {
		t.Fatalf("it asks %q", v.asking.asks)
	}
	said := v.carryOut(v.asking, "yes").said
	r, err := store.Rollouts(c).Current(t.Context(), waits.ID)
	if err != nil || said != waits.ID+": approved" || r.Value.Approved != whoami() {
		t.Errorf("it says %q, and %v: %+v", said, err, r.Value)
	}
	v.ask("b")
	asked := v.asking
	if !strings.Contains(asked.asks, "ROLL BACK production from "+overview.Short(imageOne)+" to "+overview.Short(imageTwo)) {
		t.Fatalf("it asks %q", asked.asks)
	}
	moved := *asked
	moved.record.Epoch++
	if said := v.carryOut(&moved, "yes").said; !strings.Contains(said, "while you looked") {
		t.Errorf("of a fleet that has moved on it says %q", said)
	}
	if said := v.carryOut(asked, "yes").said; !strings.Contains(said, "rolled back to "+overview.Short(imageTwo)) {
		t.Errorf("it says %q", said)
	}
}

// TestWatchViewIsHarmless whatever strangers wrote, on a terminal of any size.
func TestWatchViewIsHarmless(t *testing.T) {
	c := hostileInstallation(t)
	term := terminaltest.Emulate(t, 100, 45)
	ended := watched(t, term)
	term.Shows("production", "watching")
	publishHostile(t, c)
	beat(t, c, messages.WorkFailed, hostile)
	term.Shows("failed")
	for _, size := range [][2]int{{80, 24}, {40, 20}, {12, 5}, {1, 1}, {200, 50}} {
		harmless(t, []string{"watch"}, term.Screen())
		term.Resize(size[0], size[1])
		queuetest.Must(t, unix.Kill(os.Getpid(), unix.SIGWINCH))
		if size[0] >= 40 {
			term.Shows("fenceline watch", "production")
		}
	}
	term.Type("l")
	term.Shows("builds' logs")
	term.Type("r")
	term.Shows("RELEASE production")
	harmless(t, []string{"watch"}, term.Screen())
	term.Type("\x1b")
	term.Hides("RELEASE production")
	term.Type("\x03")
	if status := ended(); status != ExitDone {
		t.Errorf("it ends with %d", status)
	}
	if written := term.Written(); strings.Contains(written, "\x1b]52") || strings.Contains(written, "\u202e") {
		t.Error("what a stranger wrote reaches the terminal")
	}
}

// TestWatchViewWithoutServer says that it is away, goes on, and shows when it is back.
func TestWatchViewWithoutServer(t *testing.T) {
	server := queuetest.Start(t)
	c := server.Client(t)
	prepare(t, c)
	term := terminaltest.Emulate(t, 100, 30)
	watched(t, term, "--nats", server.URL())
	term.Shows("production", "watching")
	server.Stop()
	term.Shows("NATS IS AWAY since", "production")
	server.Resume(t)
	term.Hides("NATS IS AWAY")
	queuetest.Back(t, c)
	_, err := store.Fleets(c).Modify(t.Context(), "production", func(r *messages.FleetRecord) error { r.Hold.By = "eve"; return nil })
	queuetest.Must(t, err)
	term.Shows("HELD by eve")
}

// TestWatchInLines where it is asked for, or the terminal can't be drawn on.
func TestWatchInLines(t *testing.T) {
	for name, test := range map[string]struct {
		kind string
		args []string
	}{"--plain": {"xterm-256color", []string{"--plain"}}, "json": {"xterm-256color", []string{"-o", "json"}}, "TERM=dumb": {"dumb", nil}, "no TERM": {"", nil}} {
		t.Run(name, func(t *testing.T) {
			prepare(t, installation(t))
			term := terminaltest.Emulate(t, 100, 30)
			watchedOn(t, term, test.kind, test.args...)
			term.Shows("watching")
			if term.AltScreen() || term.Raw() || strings.Contains(term.Written(), "\x1b") {
				t.Errorf("it draws: %q", term.Written())
			}
		})
	}
}

// TestWatchViewHasNoColours that NO_COLOR would have to end: rows are told apart by words, and set off by reversing.
func TestWatchViewHasNoColours(t *testing.T) {
	server := queuetest.Start(t)
	prepare(t, server.Client(t))
	term := terminaltest.Emulate(t, 100, 30)
	cmd := process(t, term, "watch --nats "+server.URL(), "NO_COLOR=1")
	term.Shows("production  HELD", "watching")
	if colour := regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[0-9;]*m`).FindString(term.Written()); colour != "" {
		t.Errorf("it draws in colour: %q", colour)
	}
	term.Type("\x03")
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, term.Written())
	}
	restored(t, term)
}

// TestWatchViewOfManyNodes draws those that are on the screen.
func TestWatchViewOfManyNodes(t *testing.T) {
	b := newBoard()
	for i := range 10_000 {
		key := messages.NodeKey("production", fmt.Sprintf("node-%05d", i))
		b.node(key, func(n *overview.Node) {
			b.members[key] = true
			n.Up = i%1000 != 7
			n.Status = &messages.NodeStatus{Node: key}
		})
	}
	v := &view{ctx: t.Context(), s: &session{queue: installation(t)}, board: b, columns: 80, rows: 24, focus: paneNodes}
	v.look()
	for key, want := range map[string]string{"home": "node-00000", "end": "node-09999"} {
		v.move(key)
		screen := v.draw()
		if len(screen) != 24 || !strings.Contains(strings.Join(screen, "\n"), want) || !strings.Contains(screen[1], "9990/10000 up") {
			t.Errorf("after %s it draws %d rows:\n%s", key, len(screen), strings.Join(screen, "\n"))
		}
	}
	v.troubled, v.top = true, 0
	if got := strings.Join(v.draw(), "\n"); !strings.Contains(got, "of 10\x1b") && !strings.Contains(got, "of 10 ") || strings.Contains(got, "node-00000") {
		t.Errorf("those in trouble are\n%s", got)
	}
	for key := range b.nodes {
		b.node(key, func(n *overview.Node) { b.members[key], n.Up = false, false })
	}
	if v.look(); len(b.nodes) != 0 || v.own() != nil {
		t.Errorf("%d nodes are left, %+v", len(b.nodes), v.own())
	}
}

// TestWatchViewCutsNothingThatMatters on terminals of usual and small sizes: why a rollout waits, what to do, who decided, all keys.
func TestWatchViewCutsNothingThatMatters(t *testing.T) {
	b := newBoard()
	b.fleets["production"] = messages.FleetRecord{Fleet: "production", Rollout: "production-base-zzzzzzzz", Current: messages.FleetImage{Image: imageOne}}
	b.rollouts["production-base-zzzzzzzz"] = messages.RolloutRecord{
		ID: "production-base-zzzzzzzz", Fleet: "production", State: messages.RolloutApproval, Why: "waits for approval: fenceline approve production-base-zzzzzzzz",
		Ready: messages.ImageReady{Image: imageTwo},
	}
	b.tell(moment{Time: noon(), Step: "rollout", Fleet: "production", Build: "base-zzzzzzzz", Image: imageTwo, Text: "approved by ann: tried by hand"})
	v := &view{ctx: t.Context(), s: &session{queue: installation(t)}, board: b}
	v.look()
	for _, size := range [][2]int{{120, 40}, {80, 24}, {60, 24}, {40, 30}} {
		v.columns, v.rows = size[0], size[1]
		screen := v.draw()
		shown := strings.Join(strings.Fields(strings.Join(screen, " ")), "")
		for _, want := range []string{"fenceline approve production-base-zzzzzzzz", "approved by ann: tried by hand"} {
			if !strings.Contains(shown, strings.ReplaceAll(want, " ", "")) {
				t.Errorf("at %v it cuts %q:\n%s", size, want, strings.Join(screen, "\n"))
			}
		}
		if last := strings.TrimSpace(screen[len(screen)-1]); len(screen) != size[1] || !strings.HasPrefix(last, "q") || strings.Contains(last, "…") {
			t.Errorf("at %v it draws %d rows, the last %q", size, len(screen), last)
		}
	}
}

// process runs a command line as a process whose terminal it is.
func process(t *testing.T, term *terminaltest.Emulator, line string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), commandVariable+"="+line, "TERM=xterm-256color", "NO_COLOR=", "GORACE=exitcode=0 log_path=/dev/null") // the library's own end
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.File, term.File, term.File
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	queuetest.Must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended
	return cmd
}

// TestWatchViewEndsWhatWasConfirmed, and tells of it, though somebody quits at once.
func TestWatchViewEndsWhatWasConfirmed(t *testing.T) {
	queuetest.FleetRecord(t, installation(t), "production")
	term := terminaltest.Emulate(t, 100, 30)
	ended := watched(t, term)
	term.Shows("> production")
	term.Type("h")
	term.Shows("HOLD production?")
	term.Type("freeze\rq")
	if status := ended(); status != ExitDone {
		t.Errorf("it ends with %d", status)
	}
	toldOf(t, "hold", "production  accepted")
}

// TestWatchViewGivesTheTerminalBack when it is stopped, killed, or fails.
func TestWatchViewGivesTheTerminalBack(t *testing.T) {
	server := queuetest.Start(t)
	prepare(t, server.Client(t))
	term := terminaltest.Emulate(t, 100, 30)
	cmd := process(t, term, "watch --nats "+server.URL())
	term.Shows("production", "watching")
	term.Type("\x1a")
	term.Hides("production")
	queuetest.Eventually(t, "the keyboard is given back", func() bool { return !term.Raw() })
	queuetest.Eventually(t, "it goes on", func() bool {
		queuetest.Must(t, cmd.Process.Signal(syscall.SIGCONT))
		return strings.Contains(term.Screen(), "production")
	})
	term.Resize(60, 20) // its terminal's own signal
	term.Shows("q tab")
	queuetest.Must(t, cmd.Process.Signal(syscall.SIGTERM))
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v: %s", err, term.Written())
	}
	restored(t, term)
	hungUp := terminaltest.Emulate(t, 100, 30)
	cmd = process(t, hungUp, "watch --nats "+server.URL())
	hungUp.Shows("production", "watching")
	queuetest.Must(t, cmd.Process.Signal(syscall.SIGHUP))
	if err := cmd.Wait(); err != nil {
		t.Errorf("hung up, it ends with %v: %s", err, hungUp.Written())
	}
	restored(t, hungUp)
	broken := terminaltest.Emulate(t, 100, 30)
	if err := process(t, broken, panics).Wait(); err == nil {
		t.Error("a panic is passed over")
	}
	restored(t, broken)
}

// TestFit is here for what the view rests on: a row is as wide as the screen, whatever is in it.
func TestFit(t *testing.T) {
	for text, want := range map[string]string{"": "      ", "abc": "abc   ", "abcdefg": "abcde…", "図図図図": "図図… ", "a\nb\x1b": `a b\x…`} {
		if got := terminal.Fit(text, 6); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	if got := terminal.Fit("図", 1); got != "…" {
		t.Errorf("a wide character in one column is %q", got)
	}
}
