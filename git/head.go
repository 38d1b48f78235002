package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Timeout bounds one look-up, whatever its context allows.
const Timeout = 30 * time.Second

// Remote is a branch or a tag of a remote repository.
type Remote struct {
	URL    string          // as messages.CheckRepository allows it
	Branch string          // as messages.CheckBranch allows it
	Tag    string          // in place of the branch, or ""
	Token  messages.Secret // password for http and https, or the zero value for none
}

// Head returns the commit at the head of the remote's branch, or that of its tag. It ends with its context, or
// after Timeout. Errors wrap ErrUnreachable, ErrDenied, ErrNoRepository or ErrNoBranch,
// which is ErrNoTag of a tag; an invalid remote and the end of ctx have errors of their own.
func Head(ctx context.Context, r Remote) (commit string, err error) {
	commit, _, err = TagHead(ctx, r)
	return commit, err
}

// TagHead is Head, and returns what the ref itself names, too: for an annotated tag that is the tag's own object, which
// some forges tell of in place of the commit.
func TagHead(ctx context.Context, r Remote) (commit, object string, err error) {
	what, name := "branch", r.Branch
	if r.Tag != "" {
		what, name = "tag", r.Tag
	}
	if err := messages.CheckRepository(r.URL); err != nil {
		return "", "", fmt.Errorf("looking up a %s: repository: %w", what, err)
	}
	if err := messages.CheckBranch(name); err != nil {
		return "", "", fmt.Errorf("looking up a %s of %s: %s: %w", what, r.URL, what, err)
	}
	bounded, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	refs, _, err := r.list(bounded, r.ref(), r.ref()+peeled)
	if object = refs[r.ref()]; err == nil && object != "" {
		return cmp.Or(refs[r.ref()+peeled], object), object, nil
	}
	if err == nil {
		err = r.answers(bounded)
	}
	if err == nil {
		err = fmt.Errorf("%w: push it, or correct the pipeline's branch", ErrNoBranch)
		if r.Tag != "" {
			err = fmt.Errorf("%w: push it, or correct its name", ErrNoTag)
		}
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return "", "", fmt.Errorf("looking up %s %s of %s: %w", what, name, r.URL, err)
}

// peeled follows a tag's ref in what git lists, for the commit that an annotated one is of.
const peeled = "^{}"

func (r Remote) ref() string {
	if r.Tag != "" {
		return messages.TagRefs + r.Tag
	}
	return messages.BranchRefs + r.Branch
}

// list asks for the refs that patterns match, and returns what each names, and whether these are all. A pattern matches
// the end of a ref, so other refs may be among them.
func (r Remote) list(ctx context.Context, patterns ...string) (refs map[string]string, whole bool, err error) {
	out, _, err := r.run(ctx, nil, append([]string{"ls-remote", "--", r.URL}, patterns...)...)
	if err != nil {
		return nil, false, err
	}
	if whole = len(out) < maxOutput; !whole {
		out = out[:strings.LastIndexByte(out, '\n')+1] // the last may be cut to another's name
	}
	refs = map[string]string{}
	for line := range strings.Lines(out) {
		hash, ref, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && messages.CheckCommit(hash) == nil {
			refs[ref] = hash
		}
	}
	return refs, whole, nil
}

// run runs git with more variables in its environment and returns what it prints.
func (r Remote) run(ctx context.Context, more []string, args ...string) (out, said string, err error) {
	return r.exec(ctx, more, "git", args...)
}

// exec is run of a program that runs git.
func (r Remote) exec(ctx context.Context, more []string, program string, args ...string) (out, said string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = "/" // outside of any repository, whose own configuration would count
	cmd.Env = append(r.environment(os.Environ()), more...)
	// Transports are children of git: they end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), stderr.String(), nil
	case ctx.Err() != nil:
		return "", "", fmt.Errorf("%w: no answer in %v: check the address and the network", ErrUnreachable, Timeout)
	case errors.Is(err, exec.ErrNotFound):
		return "", "", fmt.Errorf("%w: the program git is not installed here: install it", ErrUnreachable)
	}
	return "", "", r.explain(r.hide(stderr.String()), err)
}

// output keeps the beginning of what git prints and drops the rest, since a host decides how
// much that is. (An embedded buffer would be read into past Write.)
type output struct{ kept []byte }

const maxOutput = 1 << 20

func (o *output) Write(b []byte) (int, error) {
	o.kept = append(o.kept, b[:min(len(b), maxOutput-len(o.kept))]...)
	return len(b), nil
}

func (o *output) String() string { return string(o.kept) }

// passed are the variables of git's own that reach it. Others would point it at another
// repository or make it print requests with their credentials.
var passed = []string{"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_EXEC_PATH"}

// environment returns what git runs with: no prompt of any kind, no stored credential, only
// the transports that a pipeline may use, and the token where other programs can't see it
// (an argument could be read by every user of the machine).
func (r Remote) environment(base []string) []string {
	var env []string
	for _, v := range base {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "GIT_") && !slices.Contains(passed, name) || name == "LC_ALL" || name == "LANGUAGE" {
			continue
		}
		env = append(env, v)
	}
	env = append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=false", "GIT_ALLOW_PROTOCOL=http:https:git")
	config := [][2]string{{"credential.helper", ""}}
	if header := r.header(); header != "" {
		// After a redirect git sends its headers to wherever it led.
		config = append(config,
			[2]string{"http." + r.origin() + ".extraHeader", "Authorization: Basic " + header},
			[2]string{"http." + r.origin() + ".followRedirects", "false"})
	}
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

// origin is the part of the URL that the token is for.
func (r Remote) origin() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return r.URL
	}
	return u.Scheme + "://" + u.Host + "/"
}

// hide takes the token out of text.
func (r Remote) hide(text string) string {
	if r.Token.IsZero() {
		return text
	}
	return strings.NewReplacer(r.Token.Reveal(), r.Token.String(), Password(r.Token), r.Token.String(), r.header(), r.Token.String()).Replace(text)
}

// explain makes an error of what git wrote: git's exit status is 128 for everything.
func (r Remote) explain(text string, err error) error {
	t := Read(text)
	said := messages.ShortenMiddle(cmp.Or(t.Said, err.Error()), 400)
	switch t.Kind {
	case Denied:
		if r.Token.IsZero() {
			return fmt.Errorf("%w: git says: %s: name a token in the pipeline's repository_token", ErrDenied, said)
		}
		return fmt.Errorf("%w: git says: %s: check the token named in the pipeline's repository_token", ErrDenied, said)
	case Moved:
		return fmt.Errorf("%w: git says: %s: the host redirects, and a token is not sent along: correct the pipeline's repository to where it leads", ErrNoRepository, said)
	case Led:
		return fmt.Errorf("%w: git says: %s: the host redirects for now, and a token is not sent along: correct the pipeline's repository if it stays so", ErrUnreachable, said)
	case NoRepository:
		return fmt.Errorf("%w: git says: %s: correct the pipeline's repository", ErrNoRepository, said)
	case NoObject:
		return fmt.Errorf("%w: git says: %s", ErrNoCommit, said)
	case Strange:
		return r.strange("git says: " + said)
	case Full:
		return fmt.Errorf("%w: git says: %s: make room on this machine", ErrUnreachable, said)
	case NoHelper:
		return fmt.Errorf("%w: git says: %s: install git with this transport on this machine", ErrUnreachable, said)
	}
	return fmt.Errorf("%w: git says: %s: check the address and that its host is up", ErrUnreachable, said)
}

// strange is about a host that answers, but not as a git repository does: a page that asks for a
// login or says that the host is being maintained comes with status 200, too.
func (r Remote) strange(said string) error {
	return fmt.Errorf("%w: its host answers, but not as a git repository does (%s): "+
		"see what %s shows in a browser, and correct the pipeline's repository if it is no repository's address", ErrUnreachable, said, r.URL)
}

// answers tells whether the host speaks git's protocol, or else lists a branch or tag as a plain
// web server with a repository does. It is asked where no branch was listed: an empty answer, or a page
// of one line, lists none either, and git is content with it.
func (r Remote) answers(ctx context.Context) error {
	out, trace, err := r.run(ctx, []string{"GIT_TRACE_PACKET=2"}, "ls-remote", "--", r.URL)
	if err != nil {
		return err
	}
	if strings.Contains(trace, "packet: ") || strings.Contains(out, "\trefs/") {
		return nil
	}
	return r.strange("it lists nothing at all")
}
