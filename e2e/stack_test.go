package e2e

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// patience bounds every wait for something that should take a second or two.
const patience = 90 * time.Second

// secretText is the key of all webhooks here. The gate's own tests have real ones.
const secretText = "a webhook secret of the black-box tests"

// stack is a running `fenceline up` and what surrounds it.
type stack struct {
	site.Fenceline

	dir      string
	http     string // addresses
	registry string
	login    site.Login // to the registry
	nats     string
	flags    []string
	git      *site.GitServer
	up       *site.Process
	watch    *recorder
	repos    map[string]*site.Repository
}

// pipeline is a pipeline of a stack's fenceline.yaml.
type pipeline struct {
	name   string
	base   string   // name of a base in the stack's registry, or a whole reference; "" is busybox
	image  string   // "" is one in the stack's registry
	repo   string   // "" is one on the stack's git server
	fleet  string   // "" feeds none
	policy string   // of its rollouts, in YAML; "" is a trial of 30 seconds
	extra  []string // more lines, such as "attempts: 1"
}

// newStack makes a stack in dir that does not run yet.
func newStack(dir string, pipelines []pipeline, flags ...string) (*stack, error) {
	s := &stack{dir: dir, flags: flags, repos: map[string]*site.Repository{}, watch: newRecorder()}
	s.Program, s.State = program(), filepath.Join(dir, "state")
	repositories := filepath.Join(dir, "git")
	if err := os.MkdirAll(repositories, 0o755); err != nil {
		return nil, err
	}
	var err error
	for _, a := range []*string{&s.http, &s.registry, &s.nats} {
		if *a, err = site.Address("127.0.0.1:0"); err != nil {
			return nil, err
		}
	}
	if s.git, err = site.ServeGit("127.0.0.1:0", repositories); err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.secretFile(), []byte(secretText+"\n"), 0o600); err != nil {
		return nil, err
	}
	return s, s.configure(pipelines)
}

func (s *stack) secretFile() string { return filepath.Join(s.dir, "hook.secret") }
func (s *stack) config() string     { return filepath.Join(s.dir, "fenceline.yaml") }

// configure writes fenceline.yaml.
func (s *stack) configure(pipelines []pipeline) error {
	var b strings.Builder
	b.WriteString("version: 1\npipelines:\n")
	for _, p := range pipelines {
		base, image, repo := p.base, p.image, p.repo
		if base == "" {
			base = "busybox"
		}
		if !strings.Contains(base, "/") {
			base = s.registry + "/base/" + base + ":latest"
		}
		if image == "" {
			image = s.registry + "/exampleco/" + p.name
		}
		if repo == "" {
			repo = s.git.URL + "/" + p.name + ".git"
		}
		fmt.Fprintf(&b, "  - name: %s\n    repository: %s\n    image: %s\n    build_args: {BASE: %q}\n    webhook: {secret_file: hook.secret}\n",
			p.name, repo, image, base)
		for _, line := range p.extra {
			fmt.Fprintf(&b, "    %s\n", line)
		}
		if p.fleet != "" {
			fmt.Fprintf(&b, "    fleets: [{name: %s, rollout: {%s}}]\n", p.fleet, cmp.Or(p.policy, "trial: {timeout: 30s}"))
		}
	}
	return os.WriteFile(s.config(), []byte(b.String()), 0o600)
}

func tool(name string) string { return filepath.Join(root, ".fenceline", "bin", name) }

func (s *stack) upArgs() []string {
	return append([]string{
		"up", "--state", s.State, "--config", s.config(), "--listen", s.http, "--registry-listen", s.registry, "--console-listen", "127.0.0.1:0",
		"--nats-listen", s.nats, "--buildkitd", tool("buildkitd"), "--runc", tool("runc"),
	}, s.flags...)
}

// start starts `fenceline up` and waits until it is ready.
func (s *stack) start(ctx context.Context) error {
	var err error
	if s.up, err = started.start(site.Program{Path: s.Program, Args: s.upArgs(), Dir: s.dir}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("not ready in time"))
	defer cancel()
	if err := site.Ready(ctx, s.up, "http://"+s.http); err != nil {
		return fmt.Errorf("fenceline up: %w\n%s", err, s.up.Tail(40))
	}
	password, err := os.ReadFile(filepath.Join(s.State, "secrets", "registry"))
	s.login = site.Login{User: "fenceline", Password: strings.TrimSpace(string(password))}
	return err
}

// bases pushes the bases that tests build on.
func (s *stack) bases(ctx context.Context) error {
	busybox := filepath.Join(root, ".fenceline", "base", "busybox")
	for name, files := range map[string]map[string]string{
		"busybox": {},
		"noshell": {"etc/motd": "a base without a shell\n"},
	} {
		program := busybox
		if name == "noshell" {
			program = ""
		}
		layer, err := site.BusyboxLayer(program, files)
		if err != nil {
			return err
		}
		if err := s.pushBase(ctx, name, layer); err != nil {
			return err
		}
	}
	return nil
}

func (s *stack) pushBase(ctx context.Context, name string, layer site.Layer) error {
	_, err := site.PushBase(ctx, s.registry+"/base/"+name+":latest", layer, s.login)
	return err
}

func (s *stack) end() error {
	s.watch.stop()
	errs := []error{s.git.Close()}
	if s.up != nil {
		errs = append(errs, s.up.Stop(grace))
	}
	return errors.Join(errs...)
}

// repo is the repository of a pipeline on the stack's git server, whose pushes are told to
// the producer by the example's own hook.
func (s *stack) repo(t *testing.T, name string) *site.Repository {
	t.Helper()
	if r := s.repos[name]; r != nil {
		return r
	}
	r, err := s.git.Repository(t.Context(), name)
	if err == nil {
		err = r.Notify(t.Context(), site.Notice{
			Hook: filepath.Join(root, "examples", "post-receive"), Program: s.Program,
			URL: "http://" + s.http + "/hooks/generic", SecretFile: s.secretFile(),
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.repos[name] = r
	return r
}

// push commits files on top of the pipeline's repository, pushes, and returns the commit.
func (s *stack) push(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	r := s.repo(t, name)
	if err := r.Write(files); err != nil {
		t.Fatal(err)
	}
	commit, err := r.Commit(t.Context(), "change "+rand.Text()[:6])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Push(t.Context()); err != nil {
		t.Fatal(err)
	}
	return commit
}

// build pushes files and returns the build's ID once it is known.
func (s *stack) build(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	commit := s.push(t, name, files)
	var id string
	await(t, "a build of "+commit, func(ctx context.Context) error {
		builds, err := s.builds(ctx)
		for _, b := range builds {
			if b.Commit == commit {
				id = b.Build
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("no build of commit %s among %v", commit, builds))
	})
	return id
}

// build is what the tests read of `fenceline builds -o json`.
type build struct {
	Build     string        `json:"build"`
	Pipeline  string        `json:"pipeline"`
	Order     uint64        `json:"order"`
	State     string        `json:"state"`
	Attempt   int           `json:"attempt"`
	Worker    string        `json:"worker"`
	Ref       string        `json:"ref"`
	Commit    string        `json:"commit"`
	Reason    reason        `json:"reason"`
	By        string        `json:"requested_by"`
	Matched   string        `json:"matched"`
	Image     string        `json:"image"`
	Failure   *site.Failure `json:"failure"`
	LastError string        `json:"last_error"`
}

// reason is what led to a build.
type reason struct{ Kind, Link, Detail string }

func (b build) ended() bool {
	return slices.Contains([]string{"succeeded", "failed", "superseded", "cancelled", "dead"}, b.State)
}

func (s *stack) builds(ctx context.Context) ([]build, error) {
	var out []build
	err := s.JSON(ctx, &out, "builds")
	return out, err
}

// awaitRunning waits until a build is under way.
func (s *stack) awaitRunning(t *testing.T, id string) {
	t.Helper()
	await(t, "a build under way", func(ctx context.Context) error {
		builds, err := s.builds(ctx)
		for _, b := range builds {
			if b.Build == id && b.State == "running" {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("builds: %+v", builds))
	})
}

// ended waits for a build's end.
func (s *stack) ended(t *testing.T, id string) build {
	t.Helper()
	return s.endedWithin(t, patience, id)
}

func (s *stack) endedWithin(t *testing.T, limit time.Duration, id string) build {
	t.Helper()
	var found build
	awaitFor(t, limit, "the end of "+id, func(ctx context.Context) error {
		builds, err := s.builds(ctx)
		if err != nil {
			return err
		}
		for _, b := range builds {
			if b.Build == id && b.ended() {
				found = b
				return nil
			}
		}
		return fmt.Errorf("builds: %+v", builds)
	})
	return found
}

// fence is what new app containers get.
func (s *stack) fence(t *testing.T) string {
	t.Helper()
	out, err := s.Run(t.Context(), "config", "get", "fence", "docker/image")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (s *stack) awaitFence(t *testing.T, want string) {
	t.Helper()
	await(t, "fence config "+want, func(ctx context.Context) error {
		out, err := s.Run(ctx, "config", "get", "fence", "docker/image")
		if got := strings.TrimSpace(out); err == nil && got != want {
			err = fmt.Errorf("the fence config has %q", got)
		}
		return err
	})
}

// must runs a command that has to succeed.
func (s *stack) must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.Run(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// await waits for check to return nil.
func await(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	awaitFor(t, patience, what, check)
}

func awaitFor(t *testing.T, limit time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, errors.New("out of patience"))
	defer cancel()
	if err := site.Until(ctx, check); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// own starts a stack for one test.
func own(t *testing.T, pipelines []pipeline, flags ...string) *stack {
	t.Helper()
	return ownIn(t, t.TempDir(), pipelines, flags...)
}

// ownIn is own in a folder.
func ownIn(t *testing.T, dir string, pipelines []pipeline, flags ...string) *stack {
	t.Helper()
	s, err := newStack(dir, pipelines, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Errorf("ending: %v", err)
		}
		if t.Failed() && s.up != nil {
			t.Logf("the end of fenceline's log:\n%s", s.up.Tail(60))
		}
	})
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.bases(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
