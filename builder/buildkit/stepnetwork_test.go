package buildkit_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/standalone"
)

// stackBench is a bench over the servers of `fenceline up`.
func stackBench(t *testing.T, network standalone.StepNetwork, limits standalone.BuildLimits) (*bench, *standalone.Stack) {
	t.Helper()
	dir, err := os.MkdirTemp("", "fl") // a socket's path may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	state, err := standalone.OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	stack, err := standalone.Start(t.Context(), standalone.Config{
		State: state, NATS: "127.0.0.1:0", Registry: "127.0.0.1:0", Program: program, StepNetwork: network, StepLimits: limits,
		Buildkitd: absolute(t, buildkittest.Program(t, "FENCELINE_BUILDKITD", "bin/buildkitd")), Runc: absolute(t, buildkittest.Program(t, "FENCELINE_RUNC", "bin/runc")),
		Users: []standalone.User{{Name: "operator", Publish: []string{">"}, Subscribe: []string{">"}}}, Logger: zerolog.New(zerolog.NewTestWriter(t)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stack.Stop(); err != nil {
			t.Error(err)
		}
		if err := state.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	b := &bench{registry: buildkittest.NewRegistry(t), git: gittest.Start(t), solver: newSolver(t, buildkit.Config{Address: stack.BuildkitdAddress()})}
	b.repo, b.base = b.git.Repository(t, "image"), b.registry.Busybox(t, "base:1")
	return b, stack
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAStepReachesNothingOnTheLoopback has a RUN try each port of this machine's loopback that `up` listens at, while
// the build itself pulls its base and fetches its repository there.
func TestAStepReachesNothingOnTheLoopback(t *testing.T) {
	for network, reached := range map[standalone.StepNetwork]string{standalone.NetworkOwn: "shut", standalone.NetworkAuto: "shut", standalone.NetworkHost: "open"} {
		t.Run(string(network), func(t *testing.T) {
			b, stack := stackBench(t, network, standalone.BuildLimits{})
			producer := httptest.NewServer(http.NotFoundHandler())
			defer producer.Close()
			nats, err := url.Parse(stack.NATS().URL())
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []string{nats.Host, stack.RegistryAddress(), producer.Listener.Addr().String(), b.registry.Host} {
				_, port, err := net.SplitHostPort(at)
				if err != nil {
					t.Fatal(err)
				}
				said := b.runs(t, fmt.Sprintf("if busybox nc -w 3 127.0.0.1 %s </dev/null >/dev/null; then echo port is open; else echo port is shut; fi", port))
				if !strings.Contains(said, "\nport is "+reached+"\n") {
					t.Errorf("%s: the step said %q, want %s", at, said, reached)
				}
			}
			outside := outsideServer(t)
			if said := b.runs(t, "busybox nc -w 5 "+outside+" </dev/null"); !strings.Contains(said, "\noutside\n") {
				t.Errorf("%s answers a step: %q", outside, said)
			}
		})
	}
}

// runs builds one RUN step and returns what it said.
func (b *bench) runs(t *testing.T, script string) string {
	t.Helper()
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN " + script + "\n"})
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var said strings.Builder
	for _, l := range o.logs {
		said.WriteString("\n" + l.Text)
	}
	return said.String() + "\n"
}

// greet says a word to whoever connects.
func greet(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Write([]byte("outside\n")) // who went away needs none
		_ = c.Close()
	}
}

// outsideServer greets at an address of this machine that is not of its loopback, as nc(1) is told it.
func outsideServer(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil || !ip.IP.IsGlobalUnicast() {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(ip.IP.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go greet(l)
		host, port, _ := strings.Cut(l.Addr().String(), ":")
		return host + " " + port
	}
	t.Fatal("this machine has no address but those of its loopback")
	return ""
}

// TestStepsAreBounded has a RUN make more processes, and take more memory, than all steps may have.
func TestStepsAreBounded(t *testing.T) {
	b, _ := stackBench(t, standalone.NetworkHost, standalone.BuildLimits{Memory: 64 << 20, Processes: 40})
	const bomb = "i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; echo none was refused"
	for script, refused := range map[string]string{
		bomb: "an't fork",
		"busybox dd if=/dev/zero of=/dev/null bs=200M count=1; echo none was refused": "",
	} {
		o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN " + script + "\n"})
		_, err := b.solver.Solve(t.Context(), o.Build)
		if strings.Contains(o.text(), ": none was refused") && refused != "" || refused != "" && (err == nil || !strings.Contains(o.text(), refused)) || refused == "" && !strings.Contains(o.text(), "Killed") {
			t.Errorf("%s: %v\n%s", script, err, o.text())
		}
	}
	if said := b.runs(t, "echo still here"); !strings.Contains(said, "\nstill here\n") {
		t.Errorf("a step after them: %q", said)
	}
}
