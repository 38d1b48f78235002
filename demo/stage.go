package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// The usual addresses. Where one is taken, the demo takes a free port.
const (
	httpAddress     = "127.0.0.1:8440"
	registryAddress = "127.0.0.1:8441"
	natsAddress     = "127.0.0.1:8442"
	gitAddress      = "127.0.0.1:8450"
)

// stage is everything the demo started.
type stage struct {
	*screen
	root    string // the checkout
	dir     string // .fenceline/demo: the repository, the pipeline file, the hook's secret
	example string // the folder of examples that is played
	small   bool   // the base has no package system

	fenceline site.Fenceline
	git       *site.GitServer
	repo      *site.Repository
	log       *os.File
	up        *site.Process
	client    site.Client
	lines     <-chan site.Line
	watchErr  func() error
	stopWatch context.CancelFunc
}

func newStage(root string, out *screen) (*stage, error) {
	// Never what FENCELINE_STATE names: that is an operator's installation.
	state := filepath.Join(root, ".fenceline")
	s := &stage{
		screen:    out,
		root:      root,
		dir:       filepath.Join(state, "demo"),
		example:   "libgraphite2",
		fenceline: site.Fenceline{Program: filepath.Join(root, "bin", "fenceline"), State: state},
		stopWatch: func() {},
	}
	kind, err := os.ReadFile(filepath.Join(state, "base", "kind"))
	if err != nil {
		return nil, fmt.Errorf("looking for the base image: %w: run make setup first", err)
	}
	if strings.TrimSpace(string(kind)) == "small" {
		s.small, s.example = true, "admin-hooks"
		fmt.Fprintln(out.out, "demo: the base image is a small one without packages, as no Debian base was to be had: the example only adds hooks")
	}
	if err := os.MkdirAll(filepath.Join(state, "log"), 0o755); err != nil {
		return nil, fmt.Errorf("making the log folder: %w", err)
	}
	return s, unused(state)
}

// unused refuses a state folder that a fenceline runs on, before anything of it is touched.
func unused(state string) error {
	f, err := os.Open(filepath.Join(state, "lock"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking whether %s is in use: %w", state, err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("a fenceline runs on %s already, such as that of make up: end it first (Ctrl-C where it runs)", state)
	} else if err != nil {
		return fmt.Errorf("looking whether %s is in use: %w", state, err)
	}
	return nil
}

// start starts fenceline and what surrounds it.
func (s *stage) start(ctx context.Context) error {
	s.begin("fenceline up: producer, builder, controller and distributor, with NATS, a registry and buildkitd")
	addresses, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	if err := s.startUp(ctx, addresses); err != nil {
		return err
	}
	took := time.Since(s.began)
	s.step("ready", "%s (log: %s)", s.client.Producer, s.log.Name())
	s.took("fenceline up", "ready", took)
	if err := s.pushBase(ctx); err != nil {
		return err
	}
	s.git, err = site.ServeGit(addresses["git"], s.dir)
	if err != nil {
		return err
	}
	return s.openRepository(ctx)
}

// prepare chooses addresses and writes the pipeline file for them.
func (s *stage) prepare(ctx context.Context) (map[string]string, error) {
	addresses := map[string]string{}
	for name, wanted := range map[string]string{
		"http": httpAddress, "registry": registryAddress, "nats": natsAddress, "git": gitAddress,
	} {
		a, err := site.Address(wanted)
		if err != nil {
			return nil, err
		}
		if a != wanted {
			s.note(fmt.Sprintf("%s is taken: using %s for %s", wanted, a, name))
		}
		addresses[name] = a
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", s.dir, err)
	}
	if _, err := os.Stat(s.secret()); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(s.secret(), []byte(rand.Text()+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("writing the webhook's secret: %w", err)
		}
	}
	file, err := os.ReadFile(filepath.Join(s.root, "examples", s.example, "fenceline.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the example's pipeline file: %w", err)
	}
	config := strings.NewReplacer(registryAddress, addresses["registry"], gitAddress, addresses["git"]).Replace(string(file))
	if err := os.WriteFile(s.config(), []byte(config), 0o644); err != nil {
		return nil, fmt.Errorf("writing the pipeline file: %w", err)
	}
	return addresses, ctx.Err()
}

// nodeName is this machine's name as a node: the host's may change between two runs, and the node
// of the old name would be missed.
const nodeName = "node-1"

func (s *stage) secret() string { return filepath.Join(s.dir, "hook.secret") }
func (s *stage) config() string { return filepath.Join(s.dir, "fenceline.yaml") }

func (s *stage) startUp(ctx context.Context, addresses map[string]string) (err error) {
	s.log, err = os.Create(filepath.Join(s.fenceline.State, "log", "up.log"))
	if err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	s.up, err = site.Start(site.Program{
		Path: s.fenceline.Program,
		Env:  site.Environment("FENCELINE_BUILDKITD", "FENCELINE_RUNC"),
		Args: []string{
			"up", "--state", s.fenceline.State, "--node", nodeName, "--config", s.config(), "--listen", addresses["http"],
			"--console-listen", "127.0.0.1:0", "--registry-listen", addresses["registry"], "--nats-listen", addresses["nats"],
		},
		Log: s.log,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("not ready within a minute"))
	defer cancel()
	if err := site.Ready(ctx, s.up, "http://"+addresses["http"]); err != nil {
		return fmt.Errorf("starting fenceline up: %w", err)
	}
	s.client, err = s.fenceline.Client()
	return err
}

// explain says what to do about an error, with the end of fenceline's log, which most likely
// says why.
func (s *stage) explain(err error) error {
	if s.up != nil {
		err = fmt.Errorf("%w\nthe last lines of %s:\n%s", err, s.log.Name(), s.up.Tail(15))
	}
	return fmt.Errorf("%w\nMend what it names and run make demo again; if it fails the same way, make clean starts from nothing", err)
}

func (s *stage) pushBase(ctx context.Context) error {
	layer, err := site.FileLayer(filepath.Join(s.fenceline.State, "base", "layer.tar.gz"))
	if err != nil {
		return err
	}
	login, err := s.fenceline.Login()
	if err != nil {
		return err
	}
	ref := s.client.Registry + "/stackato/stack-alsek:latest"
	pushed, err := site.PushBase(ctx, ref, layer, login)
	if err != nil {
		return err
	}
	if pushed {
		s.step("base pushed", "%s", ref)
	} else {
		s.step("base is there", "%s", ref)
	}
	return nil
}

func (s *stage) openRepository(ctx context.Context) (err error) {
	s.repo, err = s.git.Repository(ctx, s.example)
	if err != nil {
		return err
	}
	return s.repo.Notify(ctx, site.Notice{
		Hook:       filepath.Join(s.root, "examples", "post-receive"),
		Program:    s.fenceline.Program,
		URL:        s.client.Producer + "/hooks/generic",
		SecretFile: s.secret(),
	})
}

// end ends everything that was started, in order, if it is not ended yet.
func (s *stage) end() error {
	s.stopWatch()
	if s.lines != nil {
		for range s.lines { // until the watch has ended
		}
	}
	var errs []error
	if s.git != nil {
		errs = append(errs, s.git.Close())
	}
	if s.up != nil {
		errs = append(errs, s.up.Stop(30*time.Second))
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	s.git, s.up, s.log = nil, nil, nil
	return errors.Join(errs...)
}

var signInOnce = regexp.MustCompile(`"sign_in_once":"([^"]+)"`)

// signIn is the link to the console that fenceline logged when it was up.
func (s *stage) signIn() (string, error) {
	logged, err := os.ReadFile(s.log.Name())
	if err != nil {
		return "", fmt.Errorf("looking for the link to the console: %w", err)
	}
	link := signInOnce.FindSubmatch(logged)
	if link == nil {
		return "", fmt.Errorf("%s has no link to the console", s.log.Name())
	}
	return string(link[1]), nil
}

// stay says what to try, and waits for Ctrl-C.
func (s *stage) stay(ctx context.Context) error {
	link, err := s.signIn()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, `
Fenceline is up. In another terminal, to talk to it:

  export FENCELINE_STATE=%[1]s PATH=%[2]s:$PATH
  fenceline watch

The same in a browser on this machine; the link works once, within 15 minutes:

  %[5]s

To push to the demo's repository, in a third:

  git clone %[3]s my-image && cd my-image
  cp -R %[4]s/. .
  git add -A && git commit -m "My image" && git push origin HEAD:main

And then:

  fenceline status                           builds, nodes, what the fleet runs
  fenceline config get fence docker/image    the image for new app containers
  fenceline rollback                         the image before, with a hold
  fenceline release                          end the hold

Ctrl-C here ends it all; what was built is kept for the next time.
`, s.fenceline.State, filepath.Dir(s.fenceline.Program), s.repo.Bare, filepath.Join(s.root, "examples", s.example), link)
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.out, "\nending everything")
		return nil
	case <-s.up.Done():
		return fmt.Errorf("fenceline up ended with status %d", s.up.ExitCode())
	}
}
