package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// maxOutput is how much of the end of a command's output is kept.
const maxOutput = 1 << 10

// endGrace is how long a command that is told to end may take until it is killed.
const endGrace = 2 * time.Second

// errLimit tells that a command took too long.
var errLimit = errors.New("out of time")

// command runs the command, in a process group of its own that ends with it: at the limit, and when ctx
// ends, it is told to, and killed. Begun is called with the group once it is there.
func (t *Target) command(ctx context.Context, v Values, path string, begun func(*running)) error {
	limit, cancel := context.WithTimeoutCause(ctx, t.cfg.Timeout, errLimit)
	defer cancel()
	cmd := exec.CommandContext(limit, "/bin/sh", "-c", t.cfg.Command)
	cmd.Env = append(inherited(), v.environment(path)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endGrace
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the command: %w", err)
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("starting the command: %w", err)
	}
	begun(runningNow(cmd.Process.Pid))
	out, read2 := &tail{}, make(chan struct{})
	go func() {
		defer close(read2)
		_, _ = io.Copy(out, read) // ends with the last writer, or at the deadline below
	}()
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left; there may be nothing
	_ = read.SetReadDeadline(time.Now().Add(endGrace))  // what left the group may write on
	<-read2
	return t.ended(context.Cause(limit), err, out.text())
}

// ended says how a command ended, or nil where it ended well.
func (t *Target) ended(cause, err error, output string) error {
	if output != "" {
		output = ": " + output
	}
	var exit *exec.ExitError
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && cause == nil:
		return nil
	case errors.Is(cause, errLimit):
		return fmt.Errorf("reload did not end within %s, and was killed%s", t.cfg.Timeout, output)
	case cause != nil:
		return fmt.Errorf("reload was ended: %w", cause)
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("reload ended with %d%s", exit.ExitCode(), output)
	}
	return fmt.Errorf("reload: %w%s", err, output)
}

// inherited is this process's environment without fenceline's own settings, some of which name secrets.
func inherited() []string {
	var out []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "FENCELINE_") {
			out = append(out, pair)
		}
	}
	return out
}

// environment is what a command is told.
func (v *Values) environment(path string) []string {
	return []string{
		"FENCELINE_IMAGE=" + v.Image, "FENCELINE_LOCAL_IMAGE=" + v.Local, "FENCELINE_PREVIOUS_IMAGE=" + v.Previous, "FENCELINE_BUILD=" + v.Build,
		"FENCELINE_FLEET=" + v.Fleet, "FENCELINE_NODE=" + v.Node, fmt.Sprintf("FENCELINE_REVISION=%d", v.Revision), "FENCELINE_FILE=" + path,
	}
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

// Write takes all of p.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 4*maxOutput {
		t.b = append([]byte(nil), t.b[len(t.b)-maxOutput:]...)
	}
	return len(p), nil
}

// text is the end, for people.
func (t *tail) text() string {
	return messages.ShortenHead(strings.TrimSpace(strings.ToValidUTF8(string(t.b), "?")), maxOutput)
}
