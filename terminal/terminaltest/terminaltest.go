// Package terminaltest opens terminals for tests of what is written to one.
package terminaltest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal is a terminal that keeps what is written to it.
type Terminal struct {
	*os.File // the end that programs write to
	shown    chan string
}

// Open makes a terminal that is so many columns wide.
func Open(t *testing.T, columns uint16) *Terminal {
	t.Helper()
	t.Setenv("COLUMNS", "")
	screen, end := open(t, columns, 24)
	mode, err := unix.IoctlGetTermios(int(end.Fd()), unix.TCGETS)
	if err == nil {
		mode.Oflag &^= unix.OPOST // newlines come as they are written
		err = unix.IoctlSetTermios(int(end.Fd()), unix.TCSETS, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	term := &Terminal{File: end, shown: make(chan string, 1)}
	go func() {
		var b bytes.Buffer
		_, err := io.Copy(&b, screen)
		if err != nil && !errors.Is(err, syscall.EIO) { // of a terminal that was closed
			b.WriteString(err.Error())
		}
		term.shown <- b.String()
	}()
	t.Cleanup(func() {
		end.Close()
		screen.Close()
	})
	return term
}

// Shown closes the terminal and returns all that was written to it.
func (t *Terminal) Shown() string {
	t.File.Close()
	return <-t.shown
}

// open makes a terminal of a size: the end of who looks at it, and that of programs.
func open(t *testing.T, columns, rows uint16) (screen, end *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(screen.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	end, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, end
}
