package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli/clitest"
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

// TestASecondSignalEndsItAtOnce sends signals to a command that waits for its input, where
// the first can't reach it.
func TestASecondSignalEndsItAtOnce(t *testing.T) {
	producer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"ignored":"a test"}`))
	}))
	defer producer.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	clitest.Write(t, secret, "a-secret-for-webhooks\n")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), commandLine+"=notify --url "+producer.URL+" --repository r --secret-file "+secret)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "old new ref") // what comes next it waits for
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, "a test") {
		t.Fatalf("it says %q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = cmd.Process.Wait() // how it ended is not asked
		close(ended)
	}()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); ; {
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
