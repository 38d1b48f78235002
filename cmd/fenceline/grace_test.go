package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/cli"
	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestARequestUnderWayGetsTheGrace stops a producer in the middle of a request.
func TestARequestUnderWayGetsTheGrace(t *testing.T) {
	s := queuetest.Start(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	dir := t.TempDir()
	config, token := filepath.Join(dir, "fenceline.yaml"), filepath.Join(dir, "token")
	clitest.Write(t, config, goodPipelines)
	clitest.Write(t, token, "the-token-of-the-api\n")
	for name, test := range map[string]struct {
		grace    string
		answered bool
	}{
		"it is answered within it": {"1m", true},
		"it is cut off without it": {"0s", false},
	} {
		t.Run(name, func(t *testing.T) {
			address := free(t)
			log, stop := start(t, `"running"`, "run", "producer", "--config", config, "--listen", address, "--token-file", token, "--grace", test.grace)
			request := beginRequest(t, address)
			ended := make(chan int, 1)
			go func() { ended <- stop() }()
			awaitRefusal(t, address)
			if test.answered {
				fmt.Fprint(request, "{}")
			}
			answer, err := http.ReadResponse(bufio.NewReader(request), nil)
			if (err == nil) != test.answered {
				t.Errorf("the answer is %+v, %v", answer, err)
			}
			if err == nil {
				answer.Body.Close()
			}
			if status := <-ended; status != cli.ExitDone {
				t.Errorf("it ended with %d: %s", status, log)
			}
		})
	}
}

// beginRequest sends the head of a request, and returns once its body is waited for.
func beginRequest(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /v1/builds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-token-of-the-api\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, int64(len("HTTP/1.1 100 Continue\r\n\r\n")))), nil)
	if err != nil || answer.StatusCode != http.StatusContinue {
		t.Fatalf("the body isn't asked for: %+v, %v", answer, err)
	}
	return conn
}

// awaitRefusal returns once nobody listens on an address any more.
func awaitRefusal(t *testing.T, address string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); ; {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		conn.Close()
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s is still listened on", address)
		}
	}
}

func TestAGraceThatCantBeMeant(t *testing.T) {
	file := filepath.Join(t.TempDir(), "up.yaml")
	clitest.Write(t, file, "grace: -30s\n")
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"less than nothing": {[]string{"run", "builder", "--grace", "-1s"}, "less than nothing"},
		"no duration":       {[]string{"up", "--grace", "soon"}, "soon"},
		"in a file":         {[]string{"up", "--settings", file}, file + ":1: grace: it is less than nothing"},
	} {
		if got := fenceline(t, test.args...); got.status == cli.ExitDone || !strings.Contains(got.err, test.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
