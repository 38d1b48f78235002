package builder

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

func TestOnlyFoldersThatNobodyHoldsAreSwept(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	inUse, err := NewFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	killed, err := NewFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link, file, elsewhere := filepath.Join(tmp, folderPrefix+"link"), filepath.Join(tmp, folderPrefix+"file"), filepath.Join(tmp, "elsewhere")
	err = errors.Join(os.WriteFile(filepath.Join(killed.Path, "x"), nil, 0o600), os.WriteFile(file, nil, 0o600), os.Mkdir(elsewhere, 0o700), os.Symlink(elsewhere, link),
		killed.held.Close()) // as the end of the process does
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	b := newBuilder(t, building(nil))
	b.config.Logger = zerolog.New(&log)
	if err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{inUse.Path, link, file, elsewhere} {
		if _, err := os.Lstat(kept); err != nil {
			t.Errorf("removed although it was not left behind: %v", err)
		}
	}
	if _, err := os.Lstat(killed.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that nobody holds is still there: %v", err)
	}
	if said := log.String(); !strings.Contains(said, killed.Path) || strings.Contains(said, "can't") {
		t.Errorf("the log says %s", said)
	}
	if err := inUse.Remove(); err != nil {
		t.Error(err)
	}
}

func TestASweepTakesNoFolderFromUnderABuild(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b := newBuilder(t, building(nil))
	var builds sync.WaitGroup
	for range 4 {
		builds.Go(func() {
			for range 100 {
				f, err := NewFolder(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(os.WriteFile(filepath.Join(f.Path, "x"), nil, 0o600), f.Remove()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { builds.Wait(); close(done) }()
	for {
		b.sweep()
		select {
		case <-done:
			return
		default:
		}
	}
}
