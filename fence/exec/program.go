package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/fenceline/fenceline/messages"
	"golang.org/x/sys/unix"
)

const (
	printedMost = 64 << 10               // of what a command prints on one of its outputs
	reasonMost  = 400                    // of what is told of that
	drain       = 500 * time.Millisecond // for outputs that a child out of reach holds open
	moment      = 200 * time.Millisecond // that what a command started may end after it
)

var (
	errLimit   = errors.New("its time was over")
	errTooMuch = fmt.Errorf("it printed more than %d bytes", printedMost)
	errLeft    = errors.New("it ended and left something running, which was killed: what it starts must have ended before it does")
)

// run calls a command and returns what it printed. It has nothing to read and no terminal. When it ends, and
// at the latest when its time is over, whatever it left in its session is killed; it dies with this
// process, too.
func (s *Setting) run(ctx context.Context, words []string) (string, error) {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	within, cancel := context.WithTimeoutCause(within, s.c.limit, errLimit)
	defer cancel()
	if err := within.Err(); err != nil {
		return "", fmt.Errorf("running %s: %w", shown(words), context.Cause(within))
	}
	words = named(words, s.fleet)
	cmd := osexec.CommandContext(within, words[0], words[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FENCELINE_") }), "FENCELINE_FLEET="+s.fleet)
	out, said := printed{full: stop}, printed{full: stop}
	cmd.Stdout, cmd.Stderr = &out, &said
	err := endedWithSession(within, cmd)
	cause := context.Cause(within)
	switch {
	case errors.Is(err, errLeft), errors.Is(err, osexec.ErrWaitDelay) && cause == nil:
		return "", fmt.Errorf("%s: %w", shown(words), errLeft)
	case err == nil:
		return out.String(), nil
	case errors.Is(cause, errTooMuch):
		return "", fmt.Errorf("%s was killed: %w", shown(words), cause)
	case errors.Is(cause, context.DeadlineExceeded), errors.Is(cause, errLimit):
		return "", fmt.Errorf("%s had not ended in time and was killed%s (%w)", shown(words), after(&said, &out), cause)
	case cause != nil:
		return "", fmt.Errorf("%s was killed before it had ended: %w", shown(words), cause)
	}
	var exit *osexec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("%s ended with %w%s", shown(words), exit, after(&said, &out))
	}
	return "", explained(words[0], err)
}

// endedWithSession runs a command in a session of its own, and kills what is left of that once the command
// has ended.
func endedWithSession(within context.Context, cmd *osexec.Cmd) error {
	// The signal for a parent's death comes when the thread ends that started the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
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
	left := within.Err() == nil && leftBehind(cmd.Process.Pid)
	_ = kill() // there may be nobody left
	if err := cmd.Wait(); err != nil || !left {
		return err
	}
	return errLeft
}

// leftBehind tells whether others are left in the session of a process that has ended and is not reaped yet.
// Those that end with it, as a shell's pipes do, are given a moment.
func leftBehind(leader int) bool {
	for wait := time.Millisecond; ; wait *= 2 {
		if !othersIn(leader) {
			return false
		}
		if wait > moment {
			return true
		}
		<-time.After(wait)
	}
}

// othersIn tells whether a process of a session lives beside its leader. The fields of /proc/PID/stat are
// those of proc(5): state, parent, group and session come after the name, which ends with the last bracket.
func othersIn(session int) bool {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range all {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 4 || string(fields[3]) != strconv.Itoa(session) || file == fmt.Sprintf("/proc/%d/stat", session) {
			continue
		}
		if state := string(fields[0]); state != "Z" && state != "X" {
			return true
		}
	}
	return false
}

// explained is why a program was not started.
func explained(program string, err error) error {
	switch {
	case errors.Is(err, osexec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the program %s is not here, or the one that its first line names is not: install it, or name its path (%w)", program, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the program %s may not be run: chmod +x it, and let this user reach its folder (%w)", program, err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("the program %s can't be run: begin a script with #! and what reads it (%w)", program, err)
	}
	return fmt.Errorf("running %s: %w", program, err)
}

// shown is a command without what it was given for the call: the words that an operator wrote.
func shown(words []string) string { return strings.Join(words, " ") }

// after is what a command said, on one line, its errors first.
func after(said, out *printed) string {
	for _, p := range []*printed{said, out} {
		text := strings.ToValidUTF8(p.String(), "\uFFFD")
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
		if text != "" {
			return ": " + messages.ShortenHead(text, reasonMost)
		}
	}
	return ", and said nothing about why"
}

// printed keeps what a command prints, up to a bound that ends it. Its buffer is not embedded: one that is
// would read for itself, without the bound.
type printed struct {
	kept bytes.Buffer
	full context.CancelCauseFunc
}

// String is what was kept.
func (p *printed) String() string { return p.kept.String() }

// Write keeps b.
func (p *printed) Write(b []byte) (int, error) {
	if p.kept.Len()+len(b) > printedMost {
		p.full(errTooMuch)
		return 0, errTooMuch
	}
	return p.kept.Write(b)
}
