package kato_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence/kato"
	"github.com/fenceline/fenceline/fence/kato/katotest"
)

// TestAWriterWaitsForTheLock: another process's is another open file, as here.
func TestAWriterWaitsForTheLock(t *testing.T) {
	k := katotest.New(t, fresh)
	b := on(k)
	before, err := b.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(k.LockFile(), os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(other.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context()); err != nil {
		t.Errorf("reading waits for the writers' lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := b.Set(ctx, "exampleco/newimg", before.Revision); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), k.LockFile()) {
		t.Errorf("error %v does not name the lock", err)
	}
	if got := k.Run("config", "get", "fence", "docker/image"); got != "stackato/stack/alsek" {
		t.Errorf("without the lock it was set to %s", got)
	}
	done := make(chan error, 1)
	go func() {
		_, err := b.Set(t.Context(), "exampleco/newimg", before.Revision)
		done <- err
	}()
	other.Close()
	if err := <-done; err != nil {
		t.Errorf("with the lock free: %v", err)
	}
}

func TestALockThatCantBeTakenIsExplained(t *testing.T) {
	k := katotest.New(t, fresh)
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/etc/passwd", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "no", "folder", "lock"), link} {
		b := kato.New(kato.Config{Program: k.Program, LockFile: path})
		_, err := b.Set(t.Context(), "exampleco/newimg", "")
		if check := b.Check(t.Context()); err == nil || check == nil || !strings.Contains(check.Error(), "lock that all controllers of this host take") {
			t.Errorf("%s: setting gave %v, the check %v", path, err, check)
		}
	}
	if err := on(k).Check(t.Context()); err != nil {
		t.Errorf("a cluster as it should be: %v", err)
	}
}
