package producer

import (
	"bytes"
	"context"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// socketPath is a path short enough for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fenceline") //nolint:usetesting // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// TestAWebhookOverASocket has its sender's address from the proxy.
func TestAWebhookOverASocket(t *testing.T) {
	path := socketPath(t)
	l, err := ListenUnix(path, 0o620)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != fs.ModeSocket|0o620 || l.Addr().String() != path {
		t.Fatalf("%v, %v, %s", info, err, l.Addr())
	}
	var log bytes.Buffer
	server := NewServer(newProducer(t, &memoryQueue{}, zerolog.New(&log)).Handler(), zerolog.Nop())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	s := senders()[0]
	body := s.payload(baseURL, mainRef, testCommit)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/hooks/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = s.hook(testSecret, body).Header
	r.Header.Set(ForwardedFor, "203.0.113.9, 198.51.100.1")
	resp, err := client.Do(r)
	if err != nil || resp.StatusCode != http.StatusAccepted {
		t.Fatalf("%v, %v", resp, err)
	}
	_ = resp.Body.Close()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
	if !strings.Contains(log.String(), `"from":"198.51.100.1"`) {
		t.Errorf("the log has %s", &log)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is there after the end")
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

func TestWhatStandsInASocketsPlace(t *testing.T) {
	path := socketPath(t)
	if _, err := ListenUnix("relative", 0o660); err == nil || !strings.Contains(err.Error(), "begin with /") {
		t.Errorf("relative: %v", err)
	}
	if _, err := ListenUnix("/"+strings.Repeat("x", maxSocketPath), 0o660); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("long: %v", err)
	}
	if _, err := ListenUnix(filepath.Join(path, "no", "folder"), 0o660); err == nil || !strings.Contains(err.Error(), "its folder") {
		t.Errorf("without a folder: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenUnix(path, 0o660); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Fatalf("the file is %q, %v", b, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	gone, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	gone.SetUnlinkOnClose(false)
	if err := gone.Close(); err != nil { // its process was killed
		t.Fatal(err)
	}
	first, err := ListenUnix(path, 0o660)
	if err != nil {
		t.Fatalf("over one that is left: %v", err)
	}
	if _, err := ListenUnix(path, 0o660); err == nil || !strings.Contains(err.Error(), "another process listens") {
		t.Errorf("over one that listens: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := ListenUnix(path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the end of one took another's socket: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is there after the end")
	}
}

// TestOneOfManyHasTheSocket has several begin at once where a socket was left.
func TestOneOfManyHasTheSocket(t *testing.T) {
	path := socketPath(t)
	got := make(chan net.Listener, 8)
	for range cap(got) {
		go func() {
			l, _ := ListenUnix(path, 0o660)
			got <- l
		}()
	}
	n := 0
	for range cap(got) {
		if l := <-got; l != nil {
			n++
			t.Cleanup(func() { _ = l.Close() })
		}
	}
	if n != 1 {
		t.Errorf("%d have it", n)
	}
}

// TestALockOfAnotherIsNotWaitedForForEver: whoever may read a folder may lock it.
func TestALockOfAnotherIsNotWaitedForForEver(t *testing.T) {
	folder := filepath.Dir(socketPath(t))
	unlock, err := lockFolder(folder, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFolder(folder, 20*time.Millisecond); err == nil || !strings.Contains(err.Error(), "another process has its folder") {
		t.Errorf("while another has it: %v", err)
	}
	unlock()
	unlock, err = lockFolder(folder, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
