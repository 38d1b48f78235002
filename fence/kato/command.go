package kato

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/fence/program"
)

const (
	maxPrinted = 1 << 20 // of what kato prints on one of its outputs
	maxReason  = 400     // of what is told of that
)

var errLimit = errors.New("the limit for a call of kato")

// run calls kato and returns what it printed. kato has no terminal and nothing to read, so that it can't ask
// for anything. When it ends, and at the latest at the limit, whatever it left in its process group is
// killed; it dies with this process, too.
func (k *Kato) run(ctx context.Context, args ...string) ([]byte, error) {
	within, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	within, cancel := context.WithTimeoutCause(within, k.c.Limit, errLimit)
	defer cancel()
	call := k.c.Program + " " + strings.Join(args, " ")
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		<-within.Done() // the timer of a process that was stopped may be a moment late, and the call must not be made
	}
	if err := within.Err(); err != nil {
		return nil, fmt.Errorf("running %s: %w", call, context.Cause(within))
	}
	cmd, err := k.command(within, args)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", call, err)
	}
	stdout, stderr := program.Printed{Most: maxPrinted, Full: stop}, program.Printed{Most: maxPrinted, Full: stop}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	err = program.Run(cmd, nil)
	switch cause := context.Cause(within); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // a child that left the group is none of ours
		return stdout.Bytes(), nil
	case errors.Is(cause, errLimit):
		return nil, fmt.Errorf("%s had not ended after %v, and was killed%s", call, k.c.Limit, advice(stderr.Bytes()))
	case errors.As(cause, new(program.TooMuchError)):
		return nil, fmt.Errorf("%s was killed: %w: is this the cluster's own kato?", call, cause)
	case errors.Is(cause, context.DeadlineExceeded):
		return nil, fmt.Errorf("%s had not ended after %v, all that was left for it, and was killed%s (%w)",
			call, time.Since(begun).Round(100*time.Millisecond), advice(stderr.Bytes()), cause)
	case cause != nil:
		return nil, fmt.Errorf("%s was killed before it had ended: %w%s", call, cause, advice(stderr.Bytes()))
	}
	return nil, k.explained(call, err, &stdout, &stderr)
}

// explained is why a call failed that nobody ended.
func (k *Kato) explained(call string, err error, stdout, stderr *program.Printed) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return &FieldError{FieldProgram, fmt.Errorf("the program %s is not here: on a node of the cluster, which has kato, give its whole path, as %s (%w)", k.c.Program, usualPath, err)}
	case errors.Is(err, fs.ErrPermission):
		return &FieldError{FieldProgram, fmt.Errorf("%s may not be run: give a program that its user may execute (%w)", k.c.Program, err)}
	case !errors.As(err, &exit):
		return fmt.Errorf("running %s: %w", call, err)
	}
	said := reason(stderr.Bytes())
	if said == "" {
		said = reason(stdout.Bytes())
	}
	if said == "" {
		said = "it said nothing about why"
	}
	err = fmt.Errorf("%s ended with %w: %s%s", call, exit, said, advice(stderr.Bytes()))
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
