package buildkit_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/messages"
)

func TestSolve(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{
		"sub/Dockerfile":        "# syntax=example.com/other:1\nARG BASE\nFROM ${BASE} AS one\nRUN echo built > /out\nFROM " + b.base + "\nCOPY --from=one /out /out\nADD hooks /etc/stackato/hooks\n",
		"sub/hooks/pre-running": "#!/bin/sh\n:\n",
	})
	o.Pipeline.Directory = "sub"
	o.Pipeline.BuildArgs = map[string]string{"BASE": b.base}
	var report *hooks.Report
	o.Check = func(_ context.Context, image fs.FS) (err error) {
		report, err = hooks.Check(image, messages.DefaultHooksDir, "")
		return err
	}
	solved, err := b.solver.Solve(t.Context(), o.Build)
	if err != nil {
		t.Fatal(err)
	}
	image := b.registry.Image(t, solved.Image.String())
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, l := range manifest.Layers {
		bytes += l.Size
	}
	if solved.Bytes != bytes || bytes == 0 {
		t.Errorf("%d bytes, the manifest has %d", solved.Bytes, bytes)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := layers[len(layers)-1].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	head := make([]byte, 10) // of RFC 1952: XFL, the ninth byte, is 4 for the fastest algorithm
	if _, err := io.ReadFull(packed, head); err != nil || head[8] != 4 {
		t.Errorf("a new layer begins with %x, %v", head, err)
	}
	if len(solved.Bases) != 1 || solved.Bases[0].Source != b.base || solved.Bases[0].Image.Name() != b.registry.Host+"/base" {
		t.Errorf("bases %+v", solved.Bases)
	}
	if len(o.bases) != 1 {
		t.Errorf("Pinned got %+v", o.bases)
	}
	if len(report.Hooks) != 1 || len(report.Findings) != 0 {
		t.Errorf("report %+v", report)
	}
	if !strings.Contains(o.text(), "example.com/other:1") {
		t.Errorf("no remark about the frontend:\n%s", o.text())
	}
	for range 2 {
		if err := b.solver.Tag(t.Context(), solved.Image, "abc"); err != nil {
			t.Fatal(err)
		}
	}
	if err := newSolver(t, buildkit.Config{Address: b.daemon.Address}).Tag(t.Context(), solved.Image, "def"); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"abc", "def"} {
		if d, err := b.registry.Image(t, solved.Image.Name()+":"+tag).Digest(); err != nil || d.String() != solved.Image.Digest() {
			t.Errorf("tag %s is %s, %v", tag, d, err)
		}
	}
	again, err := b.solver.Solve(t.Context(), o.Build)
	if err != nil {
		t.Fatal(err)
	}
	if again.Image != solved.Image {
		t.Errorf("the same build gave %s and %s", solved.Image, again.Image)
	}
}

func TestSolveFromAFolder(t *testing.T) {
	b := newBench(t)
	o := b.order(t, nil)
	o.Context = t.TempDir()
	if err := os.WriteFile(filepath.Join(o.Context, "Dockerfile"), []byte("FROM "+b.base+"\nCOPY Dockerfile /d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(o.Context, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	b.fails(t, o, messages.FailureUser, "", "there is no Dockerfile")
}

func TestFilesOfTheImage(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN mkdir -p /a/d && echo 1 > /a/f && ln -s f /a/l && ln -s /nowhere /a/n && ln -s o /a/o && ln -s /a/d /a/ld && ln -s ../../../../../etc/os-release /a/up && chmod 4755 /a/f\n"})
	o.Check = func(_ context.Context, image fs.FS) error {
		for name, want := range map[string]error{"a": nil, "a/f": nil, "a/l": nil, "a/up": nil, "a/n": fs.ErrNotExist, "a/o": fs.ErrNotExist, "none": fs.ErrNotExist, "none/x/y": fs.ErrNotExist, "a/f/x": fs.ErrNotExist, "../etc": fs.ErrInvalid} {
			if _, err := fs.Stat(image, name); !errors.Is(err, want) {
				t.Errorf("stat %s: %v, want %v", name, err, want)
			}
		}
		if s, err := fs.ReadFile(image, "a/up"); err != nil || string(s) != "NAME=busybox\n" {
			t.Errorf("read %q, %v", s, err)
		}
		if _, err := fs.ReadDir(image, "none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("reading a missing folder: %v", err)
		}
		if _, err := fs.ReadDir(image, "a/f"); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("reading a file as a folder: %v", err)
		}
		for dir, want := range map[string]int{"/none": 0, "/a/n": 1, "/a/o": 1, "/a/l": 1, "/a/f": 1, "/a/ld": 0} {
			if report, err := hooks.Check(image, dir, ""); err != nil || len(report.Findings) != want {
				t.Errorf("hooks in %s: %+v, %v; want %d findings", dir, report, err, want)
			}
		}
		entries, err := fs.ReadDir(image, "a")
		if err != nil || len(entries) != 7 || entries[4].Name() != "n" || entries[4].Type() != fs.ModeSymlink {
			t.Errorf("entries %v, %v", entries, err)
		}
		return nil
	}
	if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
		t.Fatal(err)
	}
}

func TestRejectionPushesNothing(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN echo 1 > /x\n"})
	rejected := errors.New("rejected")
	o.Check = func(context.Context, fs.FS) error { return rejected }
	var written int
	b.registry.Refuse(func(r *http.Request) int {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			written++
		}
		return 0
	})
	if _, err := b.solver.Solve(t.Context(), o.Build); !errors.Is(err, rejected) {
		t.Errorf("error %v", err)
	}
	stopped := errors.New("stopped")
	o.Pinned = func(context.Context, []messages.PinnedBase, []messages.PinnedBase) error { return stopped }
	if _, err := b.solver.Solve(t.Context(), o.Build); !errors.Is(err, stopped) {
		t.Errorf("error %v", err)
	}
	if written != 0 {
		t.Errorf("%d requests wrote to the registry", written)
	}
}

// TestStepsAreRunAnew where nothing is to be taken from earlier builds.
func TestStepsAreRunAnew(t *testing.T) {
	b := newBench(t)
	o := b.order(t, map[string]string{"Dockerfile": "FROM " + b.base + "\nRUN cat /proc/sys/kernel/random/uuid > /out\n"})
	seen := map[messages.Image]bool{}
	for _, images := range []int{1, 1, 2, 3} {
		o.NoCache = images > 1
		solved, err := b.solver.Solve(t.Context(), o.Build)
		if err != nil {
			t.Fatal(err)
		}
		if seen[solved.Image] = true; len(seen) != images {
			t.Errorf("no cache %v: there are %d images in place of %d", o.NoCache, len(seen), images)
		}
	}
}
