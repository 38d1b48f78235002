package registries

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/docker/cli/cli/config/types"
	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// helperPrefix begins the names of credential helpers' programs.
const helperPrefix = "docker-credential-"

// helperTime bounds one call of a helper: those of clouds ask a server.
const helperTime = 20 * time.Second

// tokenUser is the user by whose name a helper says that it gives an identity token, as docker's own code has it.
const tokenUser = "<token>"

// ask asks a credential helper for a login, the zero value where it has none. What the helper says beside its answer is in the
// error, and nowhere else.
func ask(ctx context.Context, helper, host string) (types.AuthConfig, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, helperTime, fmt.Errorf("no answer within %v", helperTime))
	defer cancel()
	p := &program{ctx: ctx}
	got, err := client.Get(func(args ...string) client.Program {
		p.Cmd = exec.CommandContext(ctx, helperPrefix+helper, args...)
		// What a helper starts ends with it.
		p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		p.Cancel = func() error { return syscall.Kill(-p.Process.Pid, syscall.SIGKILL) }
		p.WaitDelay = time.Second
		p.Stderr, p.Stdout = &p.said, &p.answer
		return p
	}, host)
	switch {
	case err == nil:
	case credentials.IsErrCredentialsNotFound(err):
		return types.AuthConfig{}, nil
	default:
		return types.AuthConfig{}, fmt.Errorf("the credential helper %s%s: %w", helperPrefix, helper, p.failure())
	}
	login := types.AuthConfig{ServerAddress: host, Username: got.Username, Password: got.Secret}
	if got.Username == tokenUser {
		login.Username, login.Password, login.IdentityToken = "", "", got.Secret
	}
	return login, nil
}

// program is a helper that runs.
type program struct {
	*exec.Cmd
	ctx          context.Context //nolint:containedctx // of this one call
	answer, said words
	failed       error
}

var _ client.Program = (*program)(nil)

// Output runs it, and returns its answer.
func (p *program) Output() ([]byte, error) {
	p.failed = p.Run()
	return p.answer.Bytes(), p.failed
}

// failure says why there is no login. A helper says so in its answer, or beside it; an answer that has a login in it is not told.
func (p *program) failure() error {
	answer := strings.TrimSpace(p.answer.String())
	if strings.Contains(answer, "{") {
		answer = ""
	}
	text := cmp.Or(strings.TrimSpace(p.said.String()), answer)
	text = messages.ShortenMiddle(terminal.Visible(strings.Join(strings.Fields(text), " ")), 400)
	switch err := p.failed; {
	case p.ctx.Err() != nil:
		err = context.Cause(p.ctx)
		if text != "" {
			return fmt.Errorf("%w; it says: %s", err, text)
		}
		return err
	case err == nil:
		return errors.New("its answer is no login in JSON: run it by hand with the word get and the registry's name on its input")
	case text != "":
		return fmt.Errorf("%w: %s", err, text)
	default:
		return err
	}
}

// Input is what it reads.
func (p *program) Input(in io.Reader) { p.Stdin = in }

// words keep the beginning of what a program writes.
type words struct{ bytes.Buffer }

const maxWords = 64 << 10

// Write keeps what there is room for.
func (w *words) Write(b []byte) (int, error) {
	w.Buffer.Write(b[:min(len(b), maxWords-w.Len())])
	return len(b), nil
}
