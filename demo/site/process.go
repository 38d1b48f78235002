package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is a program to start.
type Program struct {
	Path   string
	Args   []string
	Env    []string  // of the process; nil is Environment()
	Dir    string    // "" is this one's
	Log    io.Writer // gets its output, or nil
	Stdout io.Writer // gets its standard output, and Log only the rest; nil is both to Log
}

// Process is a running child. It is in a process group of its own, so that a Ctrl-C at the
// terminal reaches its parent alone, which ends it in order; and it is told to end if its
// parent dies.
type Process struct {
	name string
	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error
}

// Start starts p.
func Start(p Program) (*Process, error) {
	c := &Process{name: p.Path, tail: &tail{also: p.Log}, done: make(chan struct{})}
	c.cmd = exec.Command(p.Path, p.Args...)
	c.cmd.Env, c.cmd.Dir = p.Env, p.Dir
	if p.Env == nil {
		c.cmd.Env = Environment()
	}
	c.cmd.Stdout, c.cmd.Stderr = c.tail, c.tail
	if p.Stdout != nil {
		c.cmd.Stdout = p.Stdout
	}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	started := make(chan error, 1)
	go func() {
		// The kernel ties the death signal to the thread that started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Path, err)
	}
	return c, nil
}

// PID is the process's number.
func (c *Process) PID() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended.
func (c *Process) Done() <-chan struct{} { return c.done }

// ExitCode is the status of a process that has ended; -1 if a signal ended it.
func (c *Process) ExitCode() int { return c.cmd.ProcessState.ExitCode() }

// Tail is the last n lines that the process wrote.
func (c *Process) Tail(n int) string { return c.tail.last(n) }

// Output is all that is kept of what the process wrote: the last megabyte.
func (c *Process) Output() string { return c.tail.last(-1) }

// Stop asks the process to end and waits for it. After grace it is killed, which is an error,
// as is a status other than 0. One that has ended before is left as it is.
func (c *Process) Stop(grace time.Duration) error {
	select {
	case <-c.done:
		return nil
	default:
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.done:
		var exit *exec.ExitError
		if errors.As(c.err, &exit) {
			return fmt.Errorf("%s, when asked to stop, ended with %w", c.name, exit)
		}
		return nil
	case <-timer.C:
		c.Kill()
		return fmt.Errorf("%s did not end within %v of being asked to, and was killed", c.name, grace)
	}
}

// Kill ends the process at once, as kill -9 does, and waits until it is gone.
func (c *Process) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.done
}

// Wait waits for the process to end by itself.
func (c *Process) Wait(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s to end: %w", c.name, context.Cause(ctx))
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	also io.Writer

	mu  sync.Mutex
	buf []byte
}

const tailSize = 1 << 20

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if len(t.buf) > 2*tailSize { // not at every write: what is kept has to be moved
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-tailSize:]...)
	}
	if t.also != nil {
		if _, err := t.also.Write(b); err != nil {
			return 0, fmt.Errorf("writing the log: %w", err)
		}
	}
	return len(b), nil
}

func (t *tail) last(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := t.buf[max(0, len(t.buf)-tailSize):]
	if n < 0 {
		return string(kept)
	}
	lines := bytes.Split(bytes.TrimRight(kept, "\n"), []byte("\n"))
	lines = lines[max(0, len(lines)-n):]
	return strings.TrimSpace(string(bytes.Join(lines, []byte("\n"))))
}
