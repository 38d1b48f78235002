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
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/fenceline/fenceline/fence/program"
	"github.com/fenceline/fenceline/messages"
)

const (
	printedMost = 64 << 10               // of what a command prints on one of its outputs
	reasonMost  = 400                    // of what is told of that
	moment      = 200 * time.Millisecond // that what a command started may end after it
)

var (
	errLimit = errors.New("its time was over")
	errLeft  = errors.New("it ended and left something running, which was killed: what it starts must have ended before it does")
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
	cmd.Env = append(program.Environment(), "FENCELINE_FLEET="+s.fleet)
	out, said := program.Printed{Most: printedMost, Full: stop}, program.Printed{Most: printedMost, Full: stop}
	cmd.Stdout, cmd.Stderr = &out, &said
	left := false
	err := program.Run(cmd, func() { left = within.Err() == nil && leftBehind(cmd.Process.Pid) })
	cause := context.Cause(within)
	switch {
	case err == nil && left, errors.Is(err, osexec.ErrWaitDelay) && cause == nil:
		return "", fmt.Errorf("%s: %w", shown(words), errLeft)
	case err == nil:
		return string(out.Bytes()), nil
	case errors.As(cause, new(program.TooMuchError)):
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
func explained(name string, err error) error {
	switch {
	case errors.Is(err, osexec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the program %s is not here, or the one that its first line names is not: install it, or name its path (%w)", name, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the program %s may not be run: chmod +x it, and let this user reach its folder (%w)", name, err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("the program %s can't be run: begin a script with #! and what reads it (%w)", name, err)
	}
	return fmt.Errorf("running %s: %w", name, err)
}

// shown is a command without what it was given for the call: the words that an operator wrote.
func shown(words []string) string { return strings.Join(words, " ") }

// after is what a command said, on one line, its errors first.
func after(said, out *program.Printed) string {
	for _, p := range []*program.Printed{said, out} {
		text := strings.ToValidUTF8(string(p.Bytes()), "\uFFFD")
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
		if text != "" {
			return ": " + messages.ShortenHead(text, reasonMost)
		}
	}
	return ", and said nothing about why"
}
