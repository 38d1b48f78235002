package standalone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
)

// BuildkitdConfig says how the child runs. All fields but Network and Limits are needed.
type BuildkitdConfig struct {
	Program string // absolute path of buildkitd
	Runc    string // absolute path of runc
	Dir     string // absolute; has buildkitd's root, its sockets and its pid file; the caller has locked it
	LogFile string
	Network *BuildNetwork // of RUN steps; nil for the machine's own
	Limits  BuildLimits   // of all RUN steps together
	Logger  zerolog.Logger
}

const (
	buildkitdStart    = 30 * time.Second // until it must take connections
	buildkitdGrace    = 10 * time.Second // after SIGTERM, before SIGKILL
	buildkitdPoll     = 20 * time.Millisecond
	buildkitdBackoff  = 500 * time.Millisecond
	buildkitdMaxPause = 30 * time.Second
	maxSocketPath     = 100     // of 107 bytes in sockaddr_un (unix(7)); buildkitd's names differ a little
	maxLogFile        = 8 << 20 // then the log begins anew, with one old file kept
)

// Buildkitd is a buildkitd that runs as a child, started again when it dies. It gets its own
// process group, so that a terminal's Ctrl-C reaches it in our order, and the kernel ends it
// when we are killed.
type Buildkitd struct {
	c       BuildkitdConfig
	root    string
	sockets string
	steps   *stepGroup    // nil where nothing is bounded
	ready   chan struct{} // closed at the first time it takes connections
	done    chan error    // what ended it
	again   chan struct{} // asks for another start
	cancel  context.CancelFunc
}

// StartBuildkitd ends a buildkitd that an earlier fenceline left on the same folder, starts
// one, and returns when it takes connections.
func StartBuildkitd(ctx context.Context, c BuildkitdConfig) (*Buildkitd, error) {
	for _, path := range []string{c.Program, c.Runc, c.Dir} {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("starting buildkitd: %q is no absolute path: give one", path)
		}
	}
	b := &Buildkitd{c: c, root: filepath.Join(c.Dir, "root"), ready: make(chan struct{}), done: make(chan error, 1), again: make(chan struct{}, 1)}
	var err error
	if b.sockets, err = socketDir(c.Dir); err != nil {
		return nil, err
	}
	if err := endLeftover(ctx, b.pidFile(), b.root); err != nil {
		return nil, err
	}
	if err := b.clearSteps(); err != nil {
		return nil, err
	}
	if err := b.configure(); err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b.cancel = cancel
	go func() { b.done <- b.supervise(run) }()
	select {
	case <-b.ready:
		return b, nil
	case err := <-b.done:
		cancel()
		return nil, err
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("starting buildkitd: %w", context.Cause(ctx)), b.Stop())
	}
}

// Address is where BuildKit's client connects.
func (b *Buildkitd) Address() string { return "unix://" + b.socket() }

// Stop ends buildkitd: with SIGTERM, and when that doesn't do with SIGKILL.
func (b *Buildkitd) Stop() error {
	b.cancel()
	err := <-b.done
	b.done <- nil // for another Stop
	err = errors.Join(err, b.clearSteps())
	if b.steps != nil {
		err = errors.Join(err, b.steps.remove())
	}
	return err
}

// StartAgain ends buildkitd and starts it again, without waiting for that. Builds that run are lost.
func (b *Buildkitd) StartAgain() {
	select {
	case b.again <- struct{}{}:
	default: // asked for already
	}
}

// configure bounds the steps, where the machine lets us, and writes buildkitd's file of settings.
func (b *Buildkitd) configure() (err error) {
	settings := "[worker.oci]\n"
	if b.c.Limits != (BuildLimits{}) {
		if b.steps, err = makeStepGroup(b.c.Dir, b.c.Limits); err != nil {
			b.c.Logger.Warn().Err(err).Msg("build steps may use all of this machine's memory and processes")
		} else {
			settings += b.steps.settings()
		}
	}
	if b.c.Network != nil {
		settings += b.c.Network.settings()
	} else {
		settings += "networkMode = \"host\"\n"
	}
	return WriteFile(b.settingsFile(), []byte(settings), 0o600)
}

// settingsFile is buildkitd's own, so that nothing of another buildkitd's is read.
func (b *Buildkitd) settingsFile() string { return filepath.Join(b.c.Dir, "buildkitd.toml") }

// temporary is a folder of its own for what it mounts for a moment, so that it can be found there.
func (b *Buildkitd) temporary() string { return filepath.Join(b.c.Dir, "tmp") }

func (b *Buildkitd) spansSocket() string { return filepath.Join(b.sockets, "otel.sock") }
func (b *Buildkitd) socket() string      { return filepath.Join(b.sockets, "buildkitd.sock") }
func (b *Buildkitd) pidFile() string     { return filepath.Join(b.c.Dir, "buildkitd.pid") }

// socketDir is dir, or a folder of our own below the temporary one where sockets in dir would
// have paths longer than the system's limit.
func socketDir(dir string) (string, error) {
	if len(filepath.Join(dir, "buildkitd.sock")) <= maxSocketPath {
		return dir, os.MkdirAll(dir, 0o700)
	}
	short, err := os.MkdirTemp("", "fenceline-*")
	if err != nil {
		return "", fmt.Errorf("making a folder for buildkitd's sockets: %w", err)
	}
	return short, nil
}

// supervise runs buildkitd again and again until ctx ends, which ends it without an error.
// Only a first start that fails is given up: the machine lacks something.
func (b *Buildkitd) supervise(ctx context.Context) error {
	defer func() {
		if b.sockets != b.c.Dir {
			os.RemoveAll(b.sockets)
		}
	}()
	pause := buildkitdBackoff
	for first := true; ; first = false {
		began := time.Now()
		err := b.runOnce(ctx, first)
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-b.ready:
		default:
			return fmt.Errorf("starting buildkitd: %w: its log is %s%s", err, b.c.LogFile, b.lastLines())
		}
		if time.Since(began) > buildkitdMaxPause {
			pause = buildkitdBackoff
		}
		b.c.Logger.Error().Err(err).Str("log", b.c.LogFile).Dur("restart_in", pause).Msg("buildkitd ended: starting it again")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		if err := b.clearSteps(); err != nil {
			b.c.Logger.Error().Err(err).Msg("what the buildkitd that ended left behind is still there")
		}
		pause = min(2*pause, buildkitdMaxPause)
	}
}

// runOnce runs buildkitd until it or ctx ends. The error says how it ended.
func (b *Buildkitd) runOnce(ctx context.Context, first bool) error {
	log, err := openLog(b.c.LogFile)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(b.c.Program, b.arguments()...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = b.c.Dir // git, which buildkitd runs, needs a folder that is there; this process's own may be removed
	if err := os.MkdirAll(b.temporary(), 0o700); err != nil {
		return fmt.Errorf("making a folder for buildkitd: %w", err)
	}
	cmd.Env = append(tracing.ChildEnvironment("buildkitd"), "TMPDIR="+b.temporary())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	ended, err := startOnOwnThread(cmd)
	if err != nil {
		return err
	}
	defer os.Remove(b.pidFile())
	if err := WriteFile(b.pidFile(), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		return errors.Join(err, endChild(cmd, ended))
	}
	if err := b.awaitSocket(ctx, ended); err != nil {
		return errors.Join(err, endChild(cmd, ended))
	}
	// It mounts this one into each step that it runs, where it is there, and sends on what strangers' code writes to it.
	if err := os.Remove(b.spansSocket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("keeping build steps from the collector of traces: %w", err), endChild(cmd, ended))
	}
	if first {
		close(b.ready)
	}
	select {
	case err := <-ended:
		ended <- err
		return fmt.Errorf("buildkitd ended by itself: %w", orExit(err))
	case <-b.again:
		return errors.Join(errors.New("it was told to, so that it lets go of what it holds on a full disk"), endChild(cmd, ended))
	case <-ctx.Done():
		return endChild(cmd, ended)
	}
}

func (b *Buildkitd) arguments() []string {
	return []string{
		"--root", b.root, "--addr", b.Address(),
		"--otel-socket-path", b.spansSocket(), // the default is shared by the machine
		"--config", b.settingsFile(),
		"--containerd-worker=false", "--oci-worker=true", "--oci-worker-binary", b.c.Runc,
		"--oci-worker-gc=true", "--oci-worker-gc-keepstorage", b.cacheBounds(),
	}
}

// cacheBounds are buildkitd's for what it keeps, in MB: kept in any case, left free on the disk, and kept at
// most; less on a small disk. What it leaves free is more than builds need to begin.
func (b *Buildkitd) cacheBounds() string {
	kept, free, most := uint64(2000), uint64(2000), uint64(20000)
	if r, err := newRoom(b.c.Dir, "", b.c.Logger); err == nil {
		size := r.size / 1e6
		kept, free, most = min(kept, size/10), min(free, size/3), min(most, size/2)
	}
	return fmt.Sprintf("%d,%d,%d", kept, free, most)
}

// awaitSocket waits until buildkitd takes connections. There is no signal for that to wait on.
func (b *Buildkitd) awaitSocket(ctx context.Context, ended chan error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, buildkitdStart, fmt.Errorf("it took no connections within %s", buildkitdStart))
	defer cancel()
	tick := time.NewTicker(buildkitdPoll)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", b.socket())
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-ended:
			ended <- err
			return fmt.Errorf("it ended at once: %w", orExit(err))
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// lastLines is the end of the log, for an error.
func (b *Buildkitd) lastLines() string {
	content, err := os.ReadFile(b.c.LogFile)
	if err != nil || len(content) == 0 {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return " and ends with:\n" + string(bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
}

// startOnOwnThread starts cmd on a thread that lives as long as the child: the kernel sends
// the parent-death signal when the thread that made the child ends (prctl(2), PR_SET_PDEATHSIG).
// The channel delivers what Wait returned.
func startOnOwnThread(cmd *exec.Cmd) (chan error, error) {
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // not unlocked: the thread goes with the goroutine
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	return ended, nil
}

// endChild ends a child and its process group, and waits for it. How it ended then is no error.
func endChild(cmd *exec.Cmd, ended chan error) error {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case err := <-ended:
		_ = err // it was asked to end
		return nil
	case <-time.After(buildkitdGrace):
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // it ended just now
		return fmt.Errorf("killing %s: %w", cmd.Path, err)
	}
	<-ended //nolint:errcheck // it was killed
	return nil
}

// orExit makes up for Wait's nil, which stands for exit status 0.
func orExit(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// openLog opens a log to add to, and begins it anew when it is long.
func openLog(path string) (*os.File, error) {
	if stat, err := os.Stat(path); err == nil && stat.Size() > maxLogFile {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("beginning %s anew: %w", path, err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening buildkitd's log: %w", err)
	}
	return f, nil
}
