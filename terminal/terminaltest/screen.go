package terminaltest

import (
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"
)

// Screen is what a terminal of that size shows after a program has written text to it.
func Screen(t *testing.T, columns, rows int, text string) string {
	t.Helper()
	e := vt.NewEmulator(columns, rows)
	defer e.Close()
	if _, err := e.WriteString(strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	return e.String()
}

// Emulator is a terminal with a screen and a keyboard.
type Emulator struct {
	*os.File // the end of programs

	t      *testing.T
	master *os.File

	mu      sync.Mutex
	screen  *vt.Emulator
	all     strings.Builder // as it was written
	changed chan struct{}   // closed with the next change of the screen
}

// Emulate makes a terminal of a size. What programs ask of it is answered.
func Emulate(t *testing.T, columns, rows int) *Emulator {
	t.Helper()
	t.Setenv("COLUMNS", "")
	master, end := open(t, uint16(columns), uint16(rows))
	e := &Emulator{File: end, t: t, master: master, screen: vt.NewEmulator(columns, rows), changed: make(chan struct{})}
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		b := make([]byte, 4096)
		for {
			n, err := e.screen.Read(b)
			if err != nil {
				return
			}
			_, _ = master.Write(b[:n]) // the program may have ended
		}
	}()
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := master.Read(b)
			if err != nil {
				return
			}
			e.mu.Lock()
			_, _ = e.screen.Write(b[:n])
			e.all.Write(b[:n])
			close(e.changed)
			e.changed = make(chan struct{})
			e.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		end.Close()
		master.Close()
		if in, ok := e.screen.InputPipe().(io.Closer); ok {
			_ = in.Close()
			<-answers
		}
	})
	return e
}

// Type has the keyboard send text.
func (e *Emulator) Type(text string) {
	e.t.Helper()
	if _, err := e.master.WriteString(text); err != nil {
		e.t.Fatal(err)
	}
}

// Resize makes the terminal another size, and tells the programs of it, where it is their terminal.
func (e *Emulator) Resize(columns, rows int) {
	e.t.Helper()
	e.mu.Lock()
	e.screen.Resize(columns, rows)
	e.mu.Unlock()
	size := &unix.Winsize{Row: uint16(rows), Col: uint16(columns)}
	if err := unix.IoctlSetWinsize(int(e.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		e.t.Fatal(err)
	}
}

// Screen is what the terminal shows, line by line.
func (e *Emulator) Screen() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.screen.String()
}

// Written is all that was written to the terminal.
func (e *Emulator) Written() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.all.String()
}

// AltScreen tells whether a program has taken the whole screen, and hidden what was there.
func (e *Emulator) AltScreen() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.screen.IsAltScreen()
}

// Until waits until the screen is as asked for.
func (e *Emulator) Until(what string, is func(screen string) bool) {
	e.t.Helper()
	deadline := time.After(time.Minute)
	for {
		e.mu.Lock()
		screen, changed := e.screen.String(), e.changed
		e.mu.Unlock()
		if is(screen) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			e.t.Fatalf("the screen does not show %s:\n%s", what, screen)
		}
	}
}

// Shows waits until all of the texts are on the screen.
func (e *Emulator) Shows(texts ...string) {
	e.t.Helper()
	for _, text := range texts {
		e.Until(text, func(screen string) bool { return strings.Contains(screen, text) })
	}
}

// Hides waits until a text is not on the screen.
func (e *Emulator) Hides(text string) {
	e.t.Helper()
	e.Until("no "+text, func(screen string) bool { return !strings.Contains(screen, text) })
}

// Raw tells whether a program has taken the keyboard for itself: what is typed is not shown, and no key ends it.
func (e *Emulator) Raw() bool {
	e.t.Helper()
	mode, err := unix.IoctlGetTermios(int(e.File.Fd()), unix.TCGETS)
	if err != nil {
		e.t.Fatal(err)
	}
	return mode.Lflag&unix.ICANON == 0
}
