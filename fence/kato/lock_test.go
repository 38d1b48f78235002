package kato_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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

// held has another process take the lock, until the test ends or it is killed.
func held(t *testing.T, k *katotest.Cluster) *os.Process {
	t.Helper()
	cmd := exec.Command("flock", "--no-fork", k.LockFile(), "sh", "-c", "echo held; exec sleep 600")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("flock of util-linux is needed: apt-get install util-linux: %v", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	word := make([]byte, 4)
	if _, err := io.ReadFull(out, word); err != nil || string(word) != "held" {
		t.Fatalf("flock said %q, %v", word, err)
	}
	return cmd.Process
}

// TestWhoHoldsTheLockIsSaid names the process, the program and what to do.
func TestWhoHoldsTheLockIsSaid(t *testing.T) {
	k := katotest.New(t, fresh)
	b := on(k)
	before, err := b.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Set(t.Context(), "exampleco/first", before.Revision); err != nil { // makes the file, and sets its time
		t.Fatal(err)
	}
	before, err = b.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := held(t, k)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = b.Set(ctx, "exampleco/newimg", before.Revision)
	says := fmt.Sprintf("it is process %d (", p.Pid)
	if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), fmt.Sprintf("end it with kill %d, and the lock goes with it", p.Pid)) ||
		!strings.Contains(err.Error(), ", since 20") {
		t.Errorf("error %v does not say %s", err, says)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Set(t.Context(), "exampleco/newimg", before.Revision); err != nil {
		t.Errorf("with its holder dead: %v", err)
	}
}

// TestAHolderThatIsStoppedIsNotWaitedFor: nobody may keep a fleet from its flips by that.
func TestAHolderThatIsStoppedIsNotWaitedFor(t *testing.T) {
	k := katotest.New(t, fresh)
	b := on(k)
	before, err := b.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := held(t, k)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Set(t.Context(), "exampleco/newimg", before.Revision); err != nil {
		t.Errorf("with its holder stopped: %v", err)
	}
	err = b.Check(t.Context())
	if says := fmt.Sprintf("continue it with kill -CONT %d, or end it with kill -KILL %d", p.Pid, p.Pid); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("the check gives %v, which does not say %s", err, says)
	}
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := b.Set(ctx, "exampleco/late", "other"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with its holder at work again: %v", err)
	}
}

// TestOneWriterAtATimePassesAHolderThatIsStopped has several wait for it, whose calls are seen to begin and end.
func TestOneWriterAtATimePassesAHolderThatIsStopped(t *testing.T) {
	k := katotest.New(t, fresh)
	before, err := on(k).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p := held(t, k)
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	k.Fails(`case "$*" in *set*)
  mkdir $dir/busy || echo "$$ beside another" >> $dir/beside
  sleep 0.3
  $real "$@"; status=$?
  rmdir $dir/busy
  exit $status
esac
exec $real "$@"`)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() { _, _ = on(k).Set(t.Context(), fmt.Sprintf("exampleco/img%d", i), before.Revision) })
	}
	all.Wait()
	if beside := k.File("beside"); beside != "" {
		t.Errorf("writers wrote side by side: %s", beside)
	}
	if got := k.Run("config", "get", "fence", "docker/image"); !strings.HasPrefix(got, "exampleco/img") {
		t.Errorf("it was set to %s", got)
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
