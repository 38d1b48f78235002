package cli

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// submission is the answer of POST /v1/builds.
type submission struct {
	Build     string           `json:"build"`
	Order     uint64           `json:"order"`
	Pipeline  string           `json:"pipeline"`
	Commit    string           `json:"commit,omitempty"`
	Reason    *messages.Reason `json:"reason,omitempty"` // what the request came of; nil from a producer that doesn't say it
	Duplicate bool             `json:"duplicate"`
	Ended     string           `json:"ended,omitempty"`   // how a duplicate's build ended
	Repeats   string           `json:"repeats,omitempty"` // the build that this one is in place of
}

// before says what there was before of a build that is not the first of its push, or nothing.
func (s *submission) before() string {
	switch {
	case s.Ended == string(messages.BuildStateSucceeded):
		return " was asked for before and built: nothing new is built"
	case s.Ended != "":
		return fmt.Sprintf(" was asked for before and ended as %s: nothing new is built; for that: fenceline retry %s", s.Ended, s.Build)
	case s.Duplicate:
		return " was asked for before and is under way"
	case s.Repeats != "":
		return ", in place of " + s.Repeats + ", which came to no image"
	}
	return ""
}

func newSubmitCmd() *cobra.Command {
	var branch, tag, commit, dir, key string
	var wait bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "submit PIPELINE", Short: "Ask for a build: of the head of a branch, a tag, a commit, or a folder",
		Long: `Asks the producer for a build. With --wait it shows the build's progress on stderr, as logs -f
does, and its end on stdout.`,
		Example: "  fenceline submit alsek --wait\n  fenceline submit alsek --tag v1.4.0\n  fenceline submit alsek --commit 1f0c…\n  fenceline submit alsek --context . --wait",
		Args:    settings.Args(1, 1),
	}
	cmd.Flags().StringVar(&branch, "branch", "", "branch whose head to build, one that the pipeline builds; its own where none is given")
	cmd.Flags().StringVar(&tag, "tag", "", "tag to build, one that the pipeline builds")
	settings.CommitVar(cmd.Flags(), &commit, "commit", "full commit to build; it is built even when the branch has moved on")
	settings.FolderVar(cmd.Flags(), &dir, "context", "", "folder on this machine to build instead of the repository")
	cmd.Flags().StringVar(&key, "idempotency-key", "", "what names this call, such as a CI job's ID: for a day the same call with it asks for nothing new")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the build's end; fails unless an image is ready")
	plain := plainFlag(cmd, "NO_COLOR and TERM=dumb do")
	settings.SpanVar(cmd.Flags(), &timeout, "timeout", time.Hour, "how long --wait waits; 0s for as long as it takes")
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		if err := oneSource(cmd.Flags(), "branch", "tag", "commit", "context"); err != nil {
			return err
		}
		if cmd.Flags().Changed("timeout") && !wait {
			return settings.Usagef("--timeout is how long --wait waits: give both, or neither")
		}
		if dir != "" && key != "" {
			return settings.Usagef("--idempotency-key is for what is the same each time, and a folder is sent anew: leave out that or --context")
		}
		if strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			return settings.Usagef("--idempotency-key: %q is not printable ASCII: give a job's ID or a UUID", key)
		}
		call := map[string]string{"pipeline": args[0], "commit": commit, "requested_by": whoami()}
		for field, given := range map[string]string{"branch": branch, "tag": tag} { // older producers know neither
			if given != "" {
				call[field] = given
			}
		}
		if dir != "" {
			name, err := s.sendContext(ctx, dir, s.dockerfile(ctx, args[0]))
			if err != nil {
				return err
			}
			call["context"] = name
		}
		b, err := s.submit(ctx, call, key)
		if err != nil {
			s.dropContext(ctx, call["context"], err)
			return err
		}
		if !wait {
			return s.decided(b, "%s: accepted, order %d%s", b.Build, b.Order, b.before())
		}
		return s.awaitBuild(ctx, b.Build, timeout, *plain)
	})
}

// oneSource refuses several of the flags that name what to build.
func oneSource(flags *pflag.FlagSet, names ...string) error {
	given := slices.DeleteFunc(names, func(name string) bool { return flags.Lookup(name).Value.String() == "" })
	if len(given) > 1 {
		return settings.Usagef("--%s and --%s are both given: a build has one source", given[0], given[1])
	}
	return nil
}

// submit asks the producer for a build. The key names the call, where it is not "".
func (s *session) submit(ctx context.Context, call map[string]string, key string) (*submission, error) {
	if len(s.access.producers()) == 0 || s.access.tokenFile == "" {
		return nil, settings.Usagef("submitting needs the producer and its token: give --producer and --token-file")
	}
	token, err := settings.ReadSecret(s.access.tokenFile)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(call)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	at, err := s.access.reach(s.access.producers()[0])
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.base+"/v1/builds", bytes.NewReader(body))
	if err != nil {
		return nil, settings.Usage(fmt.Errorf("--producer: %w", err))
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	a, err := answerOf(at.client, req)
	if err != nil {
		return nil, fmt.Errorf("submitting: %w", err)
	}
	if len(a.Builds) != 1 {
		return nil, fmt.Errorf("submitting: the producer answered with %d builds", len(a.Builds))
	}
	return &a.Builds[0], nil
}

// answer is the producer's answer to a hook or call.
type answer struct {
	Builds  []submission `json:"builds"`
	Ignored string       `json:"ignored"`
	Unknown bool         `json:"unknown_repository"` // why it is ignored, where no push of the repository is built
	Error   string       `json:"error"`
}

// errUnreached tells that the producer could not be asked.
var errUnreached = errors.New("the producer can't be reached")

// refusedError is a producer's answer that is no success.
type refusedError struct {
	status int // of HTTP
	reason string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the producer answered %d %s: %s", e.status, http.StatusText(e.status), e.reason)
}

// answerOf sends a request to the producer, and takes a refusal for an error.
func answerOf(client *http.Client, req *http.Request) (*answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreached, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the producer's answer: %w", err)
	}
	a := new(answer)
	if json.Unmarshal(body, a) != nil { // a proxy's, or that of a server of another kind
		a.Error = req.URL.Host + " gave no answer of a producer"
	}
	if resp.StatusCode >= http.StatusMultipleChoices || a.Error != "" {
		return nil, &refusedError{resp.StatusCode, a.Error}
	}
	return a, nil
}

// dockerfile is the path of a pipeline's Dockerfile, as its last build was asked for with.
func (s *session) dockerfile(ctx context.Context, pipeline string) string {
	space := s.queue.Space()
	if messages.CheckName("pipeline", pipeline) == nil {
		if m, err := s.queue.Last(ctx, space.RequestsStream(), space.AnyRequest(pipeline)); err == nil {
			if r, err := s.queue.Decode(m); err == nil {
				if asked, ok := r.Payload.(*messages.BuildRequested); ok && asked.Pipeline.Dockerfile != "" {
					return asked.Pipeline.Dockerfile
				}
			}
		}
	}
	return messages.DefaultDockerfile
}

// dropContext removes a context whose build the producer refused. Where its answer is not known the
// build may have been accepted: a sweep finds out.
func (s *session) dropContext(ctx context.Context, name string, err error) {
	var refused *refusedError
	if name == "" || !errors.As(err, &refused) || refused.status >= http.StatusInternalServerError {
		return
	}
	_ = s.builds().DropContext(ctx, name) // a sweep does it otherwise
}

// sendContext stores a folder as a build context, and returns its name.
func (s *session) sendContext(ctx context.Context, dir, dockerfile string) (string, error) {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return "", settings.Usagef("--context: there is nothing to read at %s: name a folder (%w)", dir, err)
	case !info.IsDir():
		return "", settings.Usagef("--context: %s is a file: name the folder to build", dir)
	}
	name := "context-" + messages.NewID()
	r, w := io.Pipe()
	go func() { w.CloseWithError(pack(w, dir, dockerfile)) }()
	err := s.builds().PutContext(ctx, name, r)
	r.CloseWithError(errors.New("no longer read"))
	if err != nil {
		return "", fmt.Errorf("sending %s: %w", dir, err)
	}
	return name, nil
}

// pack writes a folder as a tar, without the repository's own .git and what its .dockerignore names.
func pack(w io.Writer, dir, dockerfile string) error {
	left, err := readIgnored(dir, dockerfile)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		rel, bad := filepath.Rel(dir, path)
		if bad != nil || rel == "." {
			return errors.Join(err, bad)
		}
		if rel == ".git" && e.IsDir() {
			return fs.SkipDir
		}
		name := filepath.ToSlash(rel)
		out, bad := left.has(name, e.Type())
		switch {
		case bad != nil:
			return fmt.Errorf("matching %s with the .dockerignore: %w", path, bad)
		case out: // its content may not be for whoever submits
			return nil
		case err != nil:
			return err
		}
		return packFile(t, path, name, e)
	})
	if err != nil {
		return err
	}
	return t.Close()
}

func packFile(t *tar.Writer, path, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	var target string
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	case !info.Mode().IsRegular() && !info.IsDir():
		return fmt.Errorf("%s is neither file, folder nor link: a build context can't have it", path)
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	h.Name, h.Uname, h.Gname, h.Uid, h.Gid = name, "", "", 0, 0
	if err := t.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}

// errNoImage tells that a build that was waited for ended without an image.
var errNoImage = errors.New("no image")

// errLate tells that a build did not end while it was waited for.
var errLate = errors.New("it has not ended")

// awaitBuild waits for a build's end, as long as most or for ever where that is 0, and prints how it
// ended.
func (s *session) awaitBuild(ctx context.Context, build string, most time.Duration, plain bool) error {
	if most > 0 {
		bounded, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("%w within %s", errLate, most))
		defer cancel()
		ctx = bounded
	}
	if s.format != formatJSON && s.notes != nil {
		v := logView{out: s.notes, follow: true, plain: plain, running: true}
		err := s.attended(ctx, func(ctx context.Context) error { return s.showLogs(ctx, build, v) })
		switch {
		case errors.Is(err, errAway):
			return s.goesOn(build, err)
		case err != nil && ctx.Err() == nil:
			s.note("the build's progress can't be shown: %v", err)
		}
	}
	end, err := s.endOf(ctx, build)
	switch {
	case errors.Is(context.Cause(ctx), errLate) && end == nil && !s.queue.Connected():
		return s.goesOn(build, fmt.Errorf("%w, and %w", context.Cause(ctx), s.away(context.WithoutCancel(ctx))))
	case errors.Is(context.Cause(ctx), errLate) && end == nil:
		return s.goesOn(build, context.Cause(ctx))
	case errors.Is(err, errAway):
		return s.goesOn(build, err)
	case end == nil && interrupted(ctx, err):
		return s.goesOn(build, errInterrupted)
	case end == nil:
		return err
	}
	end.Outcome = nil
	if err := s.print(end, func(p *terminal.Page) { writeEnd(p, end) }); err != nil {
		return err
	}
	if end.State != messages.BuildStateSucceeded {
		return fmt.Errorf("build %s: %s, %w", build, end.State, errNoImage)
	}
	return nil
}

// endOf waits until a build has ended, and returns its record.
func (s *session) endOf(ctx context.Context, build string) (end *messages.BuildRecord, err error) {
	err = s.attended(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		return store.Build(s.queue, build).Watch(ctx, func(e queue.Entry[messages.BuildRecord]) {
			if e.Value.Ended() && e.Value.Announced {
				end = &e.Value
				cancel()
			}
		}, nil)
	})
	return end, err
}
