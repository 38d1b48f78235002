package buildkit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func TestTaggingEndsWithItsContext(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	hanging, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Its standard error is this program's: what it left would keep go test waiting. It ends with
	// hanging, and one that is started later finds no fifo.
	helper := keep(t, "docker-credential-hangs", "#!/bin/sh\nexec 2>/dev/null\nread line < "+fifo+"\n", 0o700)
	t.Cleanup(func() {
		if err := errors.Join(os.Remove(fifo), hanging.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("PATH", helper+":"+os.Getenv("PATH"))
	s, err := New(Config{Address: "unix:///none", DockerConfig: keep(t, "config.json", `{"credsStore": "hangs"}`, 0o600)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := errors.New("ended")
	cancel(ended)
	if err := s.Tag(ctx, messages.Image("r.example/image@sha256:"+strings.Repeat("0", 64)), "x"); !errors.Is(err, ended) {
		t.Errorf("error %v", err)
	}
}
