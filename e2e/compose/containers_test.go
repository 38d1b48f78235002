package compose

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// container is one of a shape's, by its name.
type container string

// of lists the containers of a service.
func (s *shape) of(t *testing.T, service string) []container {
	t.Helper()
	out := s.docker(t, "ps", "--all", "--format", "{{.Names}}",
		"--filter", "label=com.docker.compose.project="+s.project, "--filter", "label=com.docker.compose.service="+service)
	var all []container
	for name := range strings.FieldsSeq(out) {
		all = append(all, container(name))
	}
	if len(all) == 0 {
		t.Fatalf("there is no container of %s", service)
	}
	return all
}

func (s *shape) the(t *testing.T, service string) container {
	t.Helper()
	return s.of(t, service)[0]
}

// called is the container whose own name for itself begins a worker's name.
func (s *shape) called(t *testing.T, service, worker string) container {
	t.Helper()
	for _, c := range s.of(t, service) {
		if id := s.docker(t, "inspect", "--format", "{{.Config.Hostname}}", string(c)); strings.HasPrefix(worker, id) {
			return c
		}
	}
	t.Fatalf("no container of %s is %s", service, worker)
	return ""
}

func (s *shape) docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := site.Docker(context.WithoutCancel(t.Context()), args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// outage takes a container away, and gives it back.
type outage struct {
	name  string
	begin func(s *shape, t *testing.T, c container)
	end   func(s *shape, t *testing.T, c container)
	gone  bool // the container's processes have ended meanwhile
}

var killed = outage{
	"killed",
	func(s *shape, t *testing.T, c container) { s.docker(t, "kill", "--signal", "KILL", string(c)) },
	func(s *shape, t *testing.T, c container) {
		await(t, string(c)+" to start", func(ctx context.Context) error { // its port may be taken for a moment
			_, err := site.Docker(ctx, "start", string(c))
			return err
		})
	},
	true,
}

// stopped stops a container's process where it stands; of a node, which has an engine beside it, every one.
var stopped = outage{
	"stopped",
	func(s *shape, t *testing.T, c container) { s.signal(t, c, "STOP") },
	func(s *shape, t *testing.T, c container) { s.signal(t, c, "CONT") },
	false,
}

func (s *shape) signal(t *testing.T, c container, signal string) {
	t.Helper()
	if strings.HasPrefix(string(c), s.project+"-node-") {
		s.docker(t, "exec", string(c), "bash", "-c", "kill -"+signal+" -1")
		return
	}
	// By docker kill the container would not be started again by itself any more, should it end later.
	pid := s.process(t, c)
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err == nil && strings.Contains(string(groups), s.docker(t, "inspect", "--format", "{{.Id}}", string(c))) &&
		syscall.Kill(pid, signals[signal]) == nil {
		return
	}
	// Where this user may not, or the engine numbers processes in another way.
	s.docker(t, "kill", "--signal", signal, string(c))
}

var signals = map[string]syscall.Signal{"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}

// process is the first process of a container, as this machine numbers it.
func (s *shape) process(t *testing.T, c container) int {
	t.Helper()
	pid, err := strconv.Atoi(s.docker(t, "inspect", "--format", "{{.State.Pid}}", string(c)))
	if err != nil || pid == 0 {
		t.Fatalf("the process of %s: %d, %v", c, pid, err)
	}
	return pid
}

// cut takes a container out of a network, whose other containers it is still connected to by
// its name in the project.
func cut(network string) outage {
	return outage{
		"cut off from " + network,
		func(s *shape, t *testing.T, c container) {
			s.docker(t, "network", "disconnect", s.project+"_"+network, string(c))
		},
		func(s *shape, t *testing.T, c container) {
			service := strings.TrimPrefix(string(c), s.project+"-")
			service = service[:strings.LastIndex(service, "-")]
			s.docker(t, "network", "connect", "--alias", service, "--alias", string(c), s.project+"_"+network, string(c))
		},
		false,
	}
}

// take takes a container away; it is given back at the latest when the test ends.
func (s *shape) take(t *testing.T, o outage, c container) (giveBack func()) {
	t.Helper()
	t.Logf("%s is %s", c, o.name)
	o.begin(s, t, c)
	given := false
	giveBack = func() {
		if !given {
			given = true
			o.end(s, t, c)
		}
	}
	t.Cleanup(giveBack)
	return giveBack
}

// healthy waits until every container is.
func (s *shape) healthy(t *testing.T) {
	t.Helper()
	await(t, "every container to be healthy", func(ctx context.Context) error {
		out, err := site.Docker(ctx, "ps", "--all", "--filter", "label=com.docker.compose.project="+s.project, "--format", "{{.Names}}: {{.Status}}")
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			if !strings.Contains(line, "(healthy)") {
				return errors.New(line)
			}
		}
		return nil
	})
}

// pace is the pause between two looks that cost a process each: tests must not starve what they
// look at.
const pace = 250 * time.Millisecond

// await waits for check to return nil.
func await(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	awaitClosely(t, what, func(ctx context.Context) error {
		err := check(ctx)
		if err != nil {
			pause(ctx, pace)
		}
		return err
	})
}

// awaitClosely is await for what passes quickly, by a check that costs next to nothing.
func awaitClosely(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(t.Context()), patience, errors.New("out of patience"))
	defer cancel()
	if err := site.Until(ctx, check); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// during calls check again and again for a while, and once at least, and fails where it says something.
func during(t *testing.T, d time.Duration, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	for {
		if err := check(t.Context()); err != nil {
			t.Error(err)
		}
		if !pause(ctx, pace) {
			return
		}
	}
}

// pause is how long something lasts. It tells whether ctx is still alive then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
