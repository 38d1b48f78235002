package queuetest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// processVariable makes a test's program, run again, a NATS server: "PORT FOLDER".
const processVariable = "FENCELINE_TEST_NATS"

// Process is a NATS server as a process of its own, which can be killed and started again on its store. It syncs every
// write, and ends with the test.
type Process struct {
	told string
	cmd  *exec.Cmd
	in   io.Closer
}

// ServeIfTold has a test's program be the server of a Process, if it was started as one: TestMain begins with it.
func ServeIfTold() {
	told := os.Getenv(processVariable)
	if told == "" {
		return
	}
	if err := serveProcess(told); err != nil {
		fmt.Fprintln(os.Stderr, "NATS for a test:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveProcess is a server until standard input ends.
func serveProcess(told string) error {
	port, dir, _ := strings.Cut(told, " ")
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("reading %s: %w", processVariable, err)
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: n, JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 50, SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		return fmt.Errorf("making the server: %w", err)
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return nil
}

// StartProcess starts one. It answers a moment later.
func StartProcess(t testing.TB) *Process {
	t.Helper()
	p := &Process{told: fmt.Sprintf("%d %s", Port(t), t.TempDir())}
	p.Start(t)
	t.Cleanup(p.Kill)
	return p
}

// URL is where it listens, the same after each start.
func (p *Process) URL() string {
	port, _, _ := strings.Cut(p.told, " ")
	return "nats://127.0.0.1:" + port
}

// Start starts it again, after Kill.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), processVariable+"="+p.told)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe() // it ends with this process
	Must(t, err)
	p.in = in
	Must(t, p.cmd.Start())
}

// Kill ends it as kill -9 does.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed
	_ = p.in.Close()
}
