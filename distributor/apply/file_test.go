package apply

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOwnerAndModeStay(t *testing.T) {
	tg, file, _ := target(t, nil)
	applies(t, tg, change("1", 1))
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != newMode {
		t.Fatalf("a new file is %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	group := os.Getgid()
	if os.Geteuid() == 0 {
		group = 12345
	}
	if err := os.Chown(file, -1, group); err != nil {
		t.Fatal(err)
	}
	applies(t, tg, change("2", 2))
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 || int(info.Sys().(*syscall.Stat_t).Gid) != group {
		t.Errorf("it is %v of group %d, %v", info.Mode(), info.Sys().(*syscall.Stat_t).Gid, err)
	}
	if state, err := os.Stat(tg.cfg.State); err != nil || state.Mode().Perm() != 0o600 {
		t.Errorf("the state is %v, %v", state.Mode(), err)
	}
}

func TestASymbolicLinkIsFollowed(t *testing.T) {
	tg, file, _ := target(t, nil)
	real := filepath.Join(t.TempDir(), "real")
	write(t, real, "old\n")
	if err := os.Symlink(real, file); err != nil {
		t.Fatal(err)
	}
	applies(t, tg, change("1", 1))
	has(t, real, image("1")+"\n")
	if to, err := os.Readlink(file); err != nil || to != real {
		t.Errorf("the link leads to %q, %v", to, err)
	}
}

func TestPlacesThatCantBeWritten(t *testing.T) {
	full := filepath.Join(t.TempDir(), "full")
	if err := os.Mkdir(full, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", full, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mounting a small disk: %v: these tests run as root, as those of full disks do", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(full, 0); err != nil {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		prepare func(t *testing.T, c *Config)
		says    string
	}{
		"a folder": {func(t *testing.T, c *Config) {
			if err := os.Mkdir(c.File, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "is a folder: name a file in it"},
		"a folder that is not there": {func(_ *testing.T, c *Config) { c.File = filepath.Join(c.File, "x"); c.State = "" }, "there is no folder"},
		"a link that leads to nothing": {func(t *testing.T, c *Config) {
			if err := os.Symlink("nowhere", c.File); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link that leads to nothing"},
		"a pipe": {func(t *testing.T, c *Config) {
			if err := syscall.Mkfifo(c.File, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "is no ordinary file"},
		"a state that is something else": {func(t *testing.T, c *Config) {
			c.State = c.File + ".state"
			write(t, c.State, "PASSWORD=1\n")
		}, "none of fenceline's"},
		"a full disk": {func(t *testing.T, c *Config) {
			c.File = filepath.Join(full, "image")
			write(t, c.File, "old\n")
			c.State = filepath.Join(t.TempDir(), "state")
			filler := make([]byte, 1<<20)
			if err := os.WriteFile(filepath.Join(full, "filler"), filler, 0o600); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk takes a mebibyte: %v", err)
			}
		}, "no space left on device"},
		"a mount of its own": {func(t *testing.T, c *Config) {
			write(t, c.File, "old\n")
			other := filepath.Join(t.TempDir(), "other")
			write(t, other, "old\n")
			if err := syscall.Mount(other, c.File, "", syscall.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(c.File, 0) })
		}, "mount its folder instead"},
	} {
		t.Run(name, func(t *testing.T) {
			tg, _, log := target(t, nil)
			cfg := tg.cfg
			c.prepare(t, &cfg)
			tg, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			before, _ := readBounded(cfg.File, maxFile)
			if _, err := tg.Apply(t.Context(), change("1", 1)); err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), ".fenceline-") {
				t.Errorf("it says %v, without %q", err, c.says)
			}
			if after, _ := readBounded(cfg.File, maxFile); string(after) != string(before) {
				t.Errorf("it has %q, was %q", after, before)
			}
			has(t, log, "")
			left, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.File), ".*.fenceline-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// TestAFileThatMovesIsReadAgain, so that what somebody else writes meanwhile is not lost.
func TestAFileThatMovesIsReadAgain(t *testing.T) {
	tg, file, _ := target(t, func(c *Config) { c.Format = FormatEnv; c.Command = "" })
	write(t, file, "A=1\n")
	f, content, _, err := tg.look(change("1", 1).Values)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, "A=1\nB=2\n")
	if err := f.replace(content); !errors.Is(err, errMoved) {
		t.Fatalf("it says %v", err)
	}
	if _, err := tg.write(change("1", 1).Values, f, content); err != nil {
		t.Fatal(err)
	}
	has(t, file, "A=1\nB=2\nFENCELINE_IMAGE="+image("1")+"\n")
}
