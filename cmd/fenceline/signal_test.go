package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// commandLine makes this test binary, run again, a fenceline with these arguments.
const commandLine = "FENCELINE_TEST_ARGS"

func TestMain(m *testing.M) {
	if args := os.Getenv(commandLine); args != "" {
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
	}
	os.Exit(m.Run())
}

// TestASecondSignalEndsItAtOnce sends signals to a command that waits for the content of a pipe, where
// the first can't reach it.
func TestASecondSignalEndsItAtOnce(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := syscall.Mkfifo(secret, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), commandLine+"=notify --url http://127.0.0.1:1 --repository r --secret-file "+secret)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(secret, os.O_WRONLY, 0) // once the command has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	ended := make(chan struct{})
	go func() {
		_, _ = cmd.Process.Wait() // how it ended is not asked
		close(ended)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		select {
		case <-tick.C:
			_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended by now
		case <-ended:
			return
		case <-late:
			_ = cmd.Process.Kill()
			t.Fatal("it goes on, however often it is told to end")
		}
	}
}
