package standalone_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/standalone"
)

func startStack(t *testing.T, dir string) (*standalone.Stack, *standalone.State) {
	t.Helper()
	state, err := standalone.OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := config(state)
	if err != nil {
		t.Fatal(err)
	}
	s, err := standalone.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s, state
}

func stopStack(t *testing.T, s *standalone.Stack, state *standalone.State) {
	t.Helper()
	if err := errors.Join(s.Stop(), state.Close()); err != nil {
		t.Fatal(err)
	}
}

func connect(t *testing.T, s *standalone.Stack) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect("", nats.InProcessServer(s.NATS()), nats.UserInfo("operator", s.Password("operator").Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestWhatIsStoredSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, state := startStack(t, dir)
	kv, err := connect(t, s).CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "kept"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "key", "value"); err != nil {
		t.Fatal(err)
	}
	password := s.Password("operator").Reveal()
	stopStack(t, s, state)

	s, state = startStack(t, dir)
	defer stopStack(t, s, state)
	if s.Password("operator").Reveal() != password {
		t.Error("the password is another one after a restart")
	}
	kv, err = connect(t, s).KeyValue(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	if e, err := kv.Get(t.Context(), "key"); err != nil || string(e.Value()) != "value" {
		t.Errorf("stored value is %v, %v", e, err)
	}
	if _, err := nats.Connect(s.NATS().URL(), nats.UserInfo("operator", "wrong")); err == nil {
		t.Error("a wrong password gets in")
	}
}

func TestAFolderOfTheLayoutBeforeIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	version := filepath.Join(dir, "version")
	if err := os.WriteFile(version, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	state, err := standalone.OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(version); string(b) != "2\n" {
		t.Errorf("before the store is moved the version is %q, %v", b, err)
	}
	s, err := standalone.Start(t.Context(), standalone.Config{
		State: state, NATS: "127.0.0.1:0", Registry: "127.0.0.1:0", Buildkitd: "unix:///of/somebody/else", Logger: zerolog.Nop(),
		Users: []standalone.User{{Name: "operator"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	stopStack(t, s, state)
	if b, err := os.ReadFile(version); string(b) != "3\n" {
		t.Errorf("the version is %q, %v: a binary that knows no accounts would begin anew", b, err)
	}
}

func TestStartNamesThePortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, service := range []standalone.Service{standalone.ServiceNATS, standalone.ServiceRegistry} {
		t.Run(string(service), func(t *testing.T) {
			state, err := standalone.OpenState(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer state.Close()
			c, err := config(state)
			if err != nil {
				t.Fatal(err)
			}
			if service == standalone.ServiceNATS {
				c.NATS = l.Addr().String()
			} else {
				c.Registry = l.Addr().String()
			}
			_, err = standalone.Start(t.Context(), c)
			var listen *standalone.ListenError
			if !errors.As(err, &listen) || listen.Service != service || !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestBuildkitdDiesWithItsParentAndIsReplaced(t *testing.T) {
	dir := t.TempDir()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), stackFolder+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = parent.Process.Kill(); _ = parent.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("the process says %q, %v", line, err)
	}
	if _, err := standalone.OpenState(dir); !errors.Is(err, standalone.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(parent.Process.Pid)) {
		t.Errorf("opening a folder in use gives %v", err)
	}
	pid := readPID(t, filepath.Join(dir, "buildkit", "buildkitd.pid"))
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // it was killed
	awaitGone(t, pid)

	s, state := startStack(t, dir)
	bridge, group := marks(t, dir)
	if left := leftOnMachine(t, bridge, group); len(left) < 4 { // the bridge, its rules, the group
		t.Fatalf("while it runs the machine has %q of it", left)
	}
	stopStack(t, s, state)
	if left := leftOnMachine(t, bridge, group); len(left) > 0 {
		t.Errorf("after its end the machine still has %q", left)
	}
}

// marks are the names of the bridge and the control group of the stack over a folder.
func marks(t *testing.T, dir string) (bridge, group string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "buildkit", "network", "network.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var network struct{ Bridge string }
	if err := json.Unmarshal(b, &network); err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile(filepath.Join(dir, "buildkit", "buildkitd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(settings), `defaultCgroupParent = "/`)
	group, _, _ = strings.Cut(rest, `"`)
	if network.Bridge == "" || group == "" {
		t.Fatalf("no names in %s and %s", b, settings)
	}
	return network.Bridge, group
}

// leftOnMachine lists what the machine has by these names.
func leftOnMachine(t *testing.T, bridge, group string) []string {
	t.Helper()
	left, err := filepath.Glob("/sys/fs/cgroup/*/" + group)
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{{"ip", "-brief", "link"}, {"iptables-save"}} {
		out, err := exec.Command(list[0], list[1:]...).Output()
		if err != nil {
			t.Fatalf("%v: %v", list, err)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, bridge) {
				left = append(left, line)
			}
		}
	}
	return left
}

func TestALeftoverBuildkitdIsEndedAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	s, state := startStack(t, dir)
	pidFile := filepath.Join(dir, "buildkit", "buildkitd.pid")
	stopStack(t, s, state)

	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(other.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, state = startStack(t, dir)
	stopStack(t, s, state)
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a process that is no buildkitd was ended: %v", err)
	}

	c, err := config(nil)
	if err != nil {
		t.Fatal(err)
	}
	sock := filepath.Join(t.TempDir(), "s")
	leftover := exec.Command(c.Buildkitd, "--root", filepath.Join(dir, "buildkit", "root"), "--addr", "unix://"+sock,
		"--otel-socket-path", sock+".otel", "--config", os.DevNull, "--containerd-worker=false", "--oci-worker-binary", c.Runc)
	if err := leftover.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- leftover.Wait() }()
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(leftover.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, state = startStack(t, dir)
	defer stopStack(t, s, state)
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = leftover.Process.Kill()
		t.Error("the buildkitd that was left behind still runs")
	}
}

func TestBuildkitdIsStartedAgain(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *standalone.Stack, int){
		"killed": func(t *testing.T, _ *standalone.Stack, pid int) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		},
		"told to": func(_ *testing.T, s *standalone.Stack, _ int) { s.StartBuildkitdAgain() },
	} {
		t.Run(name, func(t *testing.T) { startsAgain(t, end) })
	}
}

// startsAgain ends a buildkitd that runs, by its process ID, and waits for another.
func startsAgain(t *testing.T, end func(*testing.T, *standalone.Stack, int)) {
	dir := t.TempDir()
	s, state := startStack(t, dir)
	defer stopStack(t, s, state)
	pidFile := filepath.Join(dir, "buildkit", "buildkitd.pid")
	pid := readPID(t, pidFile)
	end(t, s, pid)
	awaitGone(t, pid)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("unix", strings.TrimPrefix(s.BuildkitdAddress(), "unix://"))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("no new buildkitd: %v", err)
		case <-tick.C:
		}
	}
}

// TestBuildkitdOutlivesTheFolderItWasStartedIn: git refuses to work where there is no folder.
func TestBuildkitdOutlivesTheFolderItWasStartedIn(t *testing.T) {
	dir := t.TempDir()
	s, state := startStack(t, dir)
	defer stopStack(t, s, state)
	at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", readPID(t, filepath.Join(dir, "buildkit", "buildkitd.pid"))))
	if want := filepath.Join(dir, "buildkit"); err != nil || at != want {
		t.Errorf("buildkitd runs in %s (%v), not in %s", at, err, want)
	}
}

// TestStepsSendNoSpans: buildkitd would mount its socket for spans into each step, and pass on what strangers' code sends
// there, to the operator's collector.
func TestStepsSendNoSpans(t *testing.T) {
	dir := t.TempDir()
	s, state := startStack(t, dir)
	defer stopStack(t, s, state)
	for _, name := range []string{"otel.sock", "buildkitd.sock"} {
		_, err := os.Stat(filepath.Join(filepath.Dir(strings.TrimPrefix(s.BuildkitdAddress(), "unix://")), name))
		if there := err == nil; there != (name == "buildkitd.sock") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBuildkitdNeedsAbsolutePaths(t *testing.T) {
	_, err := standalone.StartBuildkitd(t.Context(), standalone.BuildkitdConfig{Program: "buildkitd", Runc: "/runc", Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("a relative path of a program gives %v", err)
	}
}

func TestALongStateFolderHasShortSockets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	s, state := startStack(t, dir)
	path := strings.TrimPrefix(s.BuildkitdAddress(), "unix://")
	stopStack(t, s, state)
	if len(path) > 107 {
		t.Errorf("socket path %s has %d bytes", path, len(path))
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the sockets is left: %v", err)
	}
}

func readPID(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// awaitGone waits until a process that is not our child has ended.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return // nobody reaps it here
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", pid)
		}
		<-tick.C
	}
}
