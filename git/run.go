package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
)

// run runs git with more variables in its environment and returns what it prints.
func (w *way) run(ctx context.Context, more []string, args ...string) (out, said string, err error) {
	return w.exec(ctx, more, "git", args...)
}

// exec is run of a program that runs git.
func (w *way) exec(ctx context.Context, more []string, program string, args ...string) (out, said string, err error) {
	return w.execUpTo(ctx, maxOutput, more, program, args...)
}

// execUpTo is exec of a program that may print more.
func (w *way) execUpTo(ctx context.Context, most int, more []string, program string, args ...string) (out, said string, err error) {
	stdout := output{most: most}
	said, err = w.start(ctx, &stdout, more, program, args...)
	if err = w.failure(ctx, said, err); err != nil {
		return "", "", err
	}
	return stdout.String(), said, nil
}

// start runs a program, and returns what it says beside what it prints, and its own error.
func (w *way) start(ctx context.Context, stdout io.Writer, more []string, program string, args ...string) (said string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/" // outside of any repository, whose own configuration would count
	cmd.Env = append(w.environment(os.Environ()), more...)
	// Transports are children of git: they end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var stderr output
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	err = cmd.Run()
	return stderr.String(), err
}

var errNoGit = fmt.Errorf("%w: the program git is not installed here: install it", ErrUnreachable)

// failure is the error of a program that said something and ended with err.
func (w *way) failure(ctx context.Context, said string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer in time: check the address and the network", ErrUnreachable)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return errNoGit
	}
	return w.explain(w.hide(said), err)
}

// output keeps the beginning of what git prints and drops the rest, since a host decides how
// much that is. (An embedded buffer would be read into past Write.)
type output struct {
	kept []byte
	most int // 0 is maxOutput
}

const maxOutput = 1 << 20

func (o *output) Write(b []byte) (int, error) {
	o.kept = append(o.kept, b[:min(len(b), cmp.Or(o.most, maxOutput)-len(o.kept))]...)
	return len(b), nil
}

func (o *output) String() string { return string(o.kept) }

// passed are the variables of git's own that reach it. Others would point it at another
// repository or make it print requests with their credentials.
var passed = []string{"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_EXEC_PATH"}

// environment returns what git runs with: no prompt of any kind, no stored credential, only
// the transports that a pipeline may use, and the token where other programs can't see it
// (an argument could be read by every user of the machine).
func (w *way) environment(base []string) []string {
	var env []string
	for _, v := range base {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "GIT_") && !slices.Contains(passed, name) || name == "LC_ALL" || name == "LANGUAGE" {
			continue
		}
		env = append(env, v)
	}
	env = append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", "GIT_ALLOW_PROTOCOL="+strings.Join(reach.Protocols, ":"))
	// What a host redirects to is looked at before it is followed.
	config := append([][2]string{{"credential.helper", ""}, {"http.followRedirects", "false"}}, w.config...)
	if header := w.header(); header != "" {
		config = append(config, [2]string{"http." + w.origin() + ".extraHeader", "Authorization: Basic " + header})
	}
	env = append(env, w.env...)
	env = append(env, fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(config)))
	for i, c := range config {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, c[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, c[1]))
	}
	return env
}

// header is the credential that BuildKit is given, too, so that one token serves both.
func (r Remote) header() string {
	if r.Token.IsZero() {
		return ""
	}
	return Credential(r.Token)
}

// origin is the part of the address that the token is for.
func (w *way) origin() string {
	return (&url.URL{Scheme: w.place.Scheme, Host: w.place.Address(), Path: "/"}).String()
}

// hide takes the token out of text.
func (r Remote) hide(text string) string {
	if r.Token.IsZero() {
		return text
	}
	return strings.NewReplacer(r.Token.Reveal(), r.Token.String(), Password(r.Token), r.Token.String(), r.header(), r.Token.String()).Replace(text)
}

// explain makes an error of what git wrote: git's exit status is 128 for everything.
func (w *way) explain(text string, err error) error {
	t := Read(text)
	said := messages.ShortenMiddle(cmp.Or(t.Said, err.Error()), 400)
	switch t.Kind {
	case Denied:
		fix := "name a token in the pipeline's repository_token"
		if !w.Token.IsZero() {
			fix = "check the token named in the pipeline's repository_token"
		}
		return w.says(ErrDenied, said, fix)
	case Moved:
		return &ledError{ErrNoRepository, "git says: " + said + ": its host redirects: correct the pipeline's repository to where it leads"}
	case Led:
		return &ledError{ErrUnreachable, "git says: " + said + ": its host redirects for now: correct the pipeline's repository if it stays so"}
	case NoRepository:
		return w.says(ErrNoRepository, said, "correct the pipeline's repository")
	case NoObject:
		return w.says(ErrNoCommit, said, "")
	case Strange:
		return w.strange("git says: " + said)
	case Full:
		return w.says(ErrUnreachable, said, "make room on this machine")
	case NoHelper:
		return w.says(ErrUnreachable, said, "install git with this transport on this machine")
	case Refused:
		return w.says(ErrNotAllowed, said, "")
	}
	return w.says(ErrUnreachable, said, "check the address and that its host is up")
}

// says is what git says, with what mends it where the pipeline names the repository. Who else names it is told so by those
// who know where.
func (w *way) says(class error, said, fix string) error {
	if w.nested || w.By == reach.Stranger || fix == "" {
		return fmt.Errorf("%w: git says: %s", class, said)
	}
	return fmt.Errorf("%w: git says: %s: %s", class, said, fix)
}

// strange is about a host that answers, but not as a git repository does: a page that asks for a
// login or says that the host is being maintained comes with status 200, too.
func (r Remote) strange(said string) error {
	return fmt.Errorf("%w: its host answers, but not as a git repository does (%s): "+
		"see what %s shows in a browser, and correct the pipeline's repository if it is no repository's address", ErrUnreachable, said, r.URL)
}
