package kato

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxPrinted = 1 << 20                // of what kato prints on one of its outputs
	maxReason  = 400                    // of what is told of that
	drain      = 500 * time.Millisecond // for outputs that a child out of reach holds open
)

var (
	errLimit   = errors.New("the limit for a call of kato")
	errTooMuch = fmt.Errorf("it printed more than %d bytes", maxPrinted)
)

// run calls kato and returns what it printed. kato has no terminal and nothing to read, so that it can't ask
// for anything. When it ends, and at the latest at the limit, whatever it left in its process group is
// killed; it dies with this process, too.
func (k *Kato) run(ctx context.Context, args ...string) ([]byte, error) {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	within, cancel := context.WithTimeoutCause(within, k.c.Limit, errLimit)
	defer cancel()
	call := k.c.Program + " " + strings.Join(args, " ")
	if err := within.Err(); err != nil {
		return nil, fmt.Errorf("running %s: %w", call, context.Cause(within))
	}
	cmd, err := k.command(within, args)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", call, err)
	}
	stdout, stderr := printed{full: stop}, printed{full: stop}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err = endedWithGroup(cmd)
	switch cause := context.Cause(within); {
	case err == nil:
		return stdout.kept, nil
	case errors.Is(cause, errLimit):
		return nil, fmt.Errorf("%s had not ended after %v, and was killed%s", call, k.c.Limit, advice(stderr.kept))
	case errors.Is(cause, errTooMuch):
		return nil, fmt.Errorf("%s was killed: %w: is this the cluster's own kato?", call, cause)
	case errors.Is(cause, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s had not ended after %v, all that was left for it, and was killed%s (%w)",
			call, time.Since(begun).Round(100*time.Millisecond), advice(stderr.kept), cause)
	case cause != nil:
		return nil, fmt.Errorf("%s was killed before it had ended: %w%s", call, cause, advice(stderr.kept))
	}
	return nil, k.explained(call, err, &stdout, &stderr)
}

// endedWithGroup runs a command in a session of its own, and kills what is left of that once the command
// has ended.
func endedWithGroup(cmd *exec.Cmd) error {
	// The signal for a parent's death comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel, cmd.WaitDelay = kill, drain
	if err := cmd.Start(); err != nil {
		return err
	}
	// Looked at before it is reaped: until then nobody else can have its number.
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = kill() // there may be nobody left
	err := cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) { // it went well; a child that left the group still has its outputs
		return nil
	}
	return err
}

// explained is why a call failed that nobody ended.
func (k *Kato) explained(call string, err error, stdout, stderr *printed) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return &FieldError{FieldProgram, fmt.Errorf("the program %s is not here: on a node of the cluster, which has kato, give its whole path, as %s (%w)", k.c.Program, usualPath, err)}
	case errors.Is(err, fs.ErrPermission):
		return &FieldError{FieldProgram, fmt.Errorf("%s may not be run: give a program that its user may execute (%w)", k.c.Program, err)}
	case !errors.As(err, &exit):
		return fmt.Errorf("running %s: %w", call, err)
	}
	said := reason(stderr.kept)
	if said == "" {
		said = reason(stdout.kept)
	}
	if said == "" {
		said = "it said nothing about why"
	}
	err = fmt.Errorf("%s ended with %w: %s%s", call, exit, said, advice(stderr.kept))
	if exit.ExitCode() == 127 { // a shell's for a program that it doesn't find
		return &FieldError{FieldProgram, fmt.Errorf("%w: give the whole path of kato, as %s", err, usualPath)}
	}
	return err
}

// usualPath is kato's on a cluster's nodes.
const usualPath = "/home/stackato/bin/kato"

// advice is what to do where kato wanted a password.
func advice(said []byte) string {
	if !bytes.Contains(bytes.ToLower(said), []byte("password")) {
		return ""
	}
	return ": it asks for a password, which nobody can give: run kato as the user that it belongs to, stackato on a cluster, or let that one's sudo ask for none"
}

// reason is the end of what kato printed, on one line.
func reason(said []byte) string {
	text := strings.ToValidUTF8(hidden(string(withoutWarnings(said))), "�")
	text = strings.Join(strings.Fields(text), " ")
	if cut := len(text) - maxReason; cut > 0 {
		text = "…" + strings.ToValidUTF8(text[cut:], "")
	}
	return text
}

// printed keeps what kato prints, up to a bound that ends it. (An embedded buffer would be read into past
// Write.)
type printed struct {
	kept []byte
	full context.CancelCauseFunc
}

// Write keeps b.
func (p *printed) Write(b []byte) (int, error) {
	if len(p.kept)+len(b) > maxPrinted {
		p.full(errTooMuch)
		return 0, errTooMuch
	}
	p.kept = append(p.kept, b...)
	return len(b), nil
}
