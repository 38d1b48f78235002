package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/fenceline/fenceline/messages"
)

// shells are those that hooks are run from, the first that an image has.
var shells = []string{"/bin/sh", "/bin/bash"}

// shellFor is the shell that must run a hook without a shebang, which the kernel doesn't
// execute; "" for others.
func (e *Engine) shellFor(ctx context.Context, id, hook string) (string, error) {
	first := make([]byte, 4)
	err := e.read(ctx, id, hook, func(r io.Reader) error {
		n, err := io.ReadFull(r, first)
		first = first[:n]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		return err
	})
	if errdefs.IsNotFound(err) {
		return "", verdictError{hook + " is not in the image"}
	}
	if err != nil {
		return "", e.fault(ctx, "reading "+hook, err)
	}
	if text := string(first); strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF") {
		return "", nil
	}
	shell, err := e.firstOf(ctx, id, "/bin/bash", "/bin/sh")
	if err == nil && shell == "" {
		err = verdictError{hook + " has no shebang line, and the image has no shell to run it"}
	}
	return shell, err
}

// notRun is why a shell could not run a hook, by its status and what it printed; "" where the hook ran.
func notRun(hook, user string, run messages.HookRun) string {
	if run.Exit != 126 && run.Exit != 127 {
		return ""
	}
	lines := strings.Split(run.Output, "\n")
	last := lines[len(lines)-1]
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(last), w) })
	}
	switch {
	case !strings.Contains(last, hook):
		return ""
	case run.Exit == 126 && says("permission denied"):
		if user != "" {
			return fmt.Sprintf("%s is not executable by %s: set its execute bit, and let that user into its folders", hook, user)
		}
		return hook + " is not executable: set its execute bit"
	case says("exec format error"):
		return hook + " can't be executed on this machine: " + last
	case run.Exit == 127, says("bad interpreter", "no such file"):
		return hook + " or its interpreter is not in the image: " + last
	}
	return ""
}
