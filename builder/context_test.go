package builder

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
)

// pack makes a tar. Files contain their names.
func pack(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAnUploadedContext(t *testing.T) {
	var dir string
	s := building(nil)
	solve := s.solve
	s.solve = func(ctx context.Context, b Build) (Solved, error) {
		dir = b.Context
		if text, err := os.ReadFile(filepath.Join(dir, "a/run")); err != nil || string(text) != "./a/run" {
			t.Errorf("a/run has %q, %v", text, err)
		}
		if is, err := os.Stat(filepath.Join(dir, "a/run")); err != nil || is.Mode() != 0o755 {
			t.Errorf("a/run is %v, %v", is, err)
		}
		return solve(ctx, b)
	}
	b := newBuilder(t, s)
	b.config.Queue = &source{contexts: map[string][]byte{"up": pack(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "./a/run", Typeflag: tar.TypeReg, Mode: 0o755},
		tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "a/run"}, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "a/run"})}}
	b.head = func(context.Context, git.Remote) (string, string, error) {
		return "", "", errors.New("no head is asked for")
	}
	r := request()
	r.Commit, r.Context, r.Cause = "", "up", messages.CausePerson
	p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)})
	if err != nil || p.(*messages.ImageReady).Tag != r.Build {
		t.Errorf("outcome %+v, %v", p, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	r.Context = "none"
	if p, err := b.build(t.Context(), task{request: r, attempt: 1, out: new(record)}); err != nil || p.MessageType() != messages.TypeBuildFailed {
		t.Errorf("a missing context: %+v, %v", p, err)
	}
}

// manyFolders is few entries that would make more folders than the test allows.
func manyFolders() []tar.Header {
	headers := make([]tar.Header, 10)
	for i := range headers {
		headers[i] = tar.Header{Name: fmt.Sprintf("%d/%s", i, strings.Repeat("a/", 100)), Typeflag: tar.TypeDir}
	}
	return headers
}

func TestUnpackStaysInside(t *testing.T) {
	for name, headers := range map[string][]tar.Header{
		"a way out":          {{Name: "../x", Typeflag: tar.TypeReg}},
		"an absolute name":   {{Name: "/x", Typeflag: tar.TypeReg}},
		"through a link":     {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "l/x", Typeflag: tar.TypeReg}},
		"through a far link": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/tmp"}, {Name: "l/x", Typeflag: tar.TypeReg}},
		"a hard link out":    {{Name: "l", Typeflag: tar.TypeLink, Linkname: "../secret"}},
		"a device":           {{Name: "d", Typeflag: tar.TypeChar}},
		"a name too long":    {{Name: strings.Repeat("a/", 3000) + "x", Typeflag: tar.TypeReg}},
		"too many folders":   manyFolders(),
		"too much":           {{Name: strings.Repeat("x", 90), Typeflag: tar.TypeReg}, {Name: strings.Repeat("y", 90), Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "in")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(parent, "secret"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			err := unpack(bytes.NewReader(pack(t, headers...)), dir, 100, 500)
			var f *FailedError
			if !errors.As(err, &f) || f.Class != messages.FailureUser || f.Fix == "" {
				t.Errorf("error %v", err)
			}
			if entries, err := os.ReadDir(parent); err != nil || len(entries) != 2 {
				t.Errorf("outside are %v, %v", entries, err)
			}
		})
	}
}

func TestWhatTheMachineFailsAtIsNotTheUsers(t *testing.T) {
	whole := pack(t, tar.Header{Name: strings.Repeat("x", 90), Typeflag: tar.TypeReg})
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC, errors.New("nats: no responders")} {
		// The content ends with the cause, in the middle of the file.
		r := io.MultiReader(bytes.NewReader(whole[:512+10]), iotest.ErrReader(cause))
		var f *FailedError
		if err := unpack(r, t.TempDir(), 100, 500); !errors.Is(err, cause) || errors.As(err, &f) {
			t.Errorf("%v became %v", cause, err)
		}
	}
	for cause, users := range map[error]bool{
		syscall.ENOSPC: false, syscall.EMFILE: false, syscall.EDQUOT: false, syscall.EROFS: false,
		syscall.ENAMETOOLONG: true, syscall.EEXIST: true, nil: false,
	} {
		if badEntry(cause) != users {
			t.Errorf("%v: the entry is to blame: %v", cause, !users)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, tar.Header{Name: "a/b", Typeflag: tar.TypeReg}, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: ".."}))
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parent := t.TempDir()
		dir := filepath.Join(parent, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = unpack(bytes.NewReader(b), dir, 1<<20, 500)
		if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
			t.Errorf("outside are %v, %v", entries, err)
		}
	})
}
