package cli

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
)

func TestWhatADockerignoreNamesIsNotSent(t *testing.T) {
	files := []string{"Dockerfile", "docker/base.Dockerfile", "docker/notes", ".env", "a.log", "keep.log", "node_modules/x/y", "node_modules/keep/z", "src/main"}
	for name, test := range map[string]struct {
		ignore     map[string]string
		dockerfile string
		out        []string
	}{
		"no file":      {nil, "Dockerfile", nil},
		"an empty one": {map[string]string{".dockerignore": "\n# nothing\n"}, "Dockerfile", nil},
		"names, patterns and exceptions": {
			map[string]string{".dockerignore": ".env\n*.log\n!keep.log\nnode_modules\n!node_modules/keep\n"}, "Dockerfile",
			[]string{".env", "a.log", "node_modules", "node_modules/x", "node_modules/x/y"},
		},
		"a whole folder": {
			map[string]string{".dockerignore": "\ufeffnode_modules/\r\n/src\r\n"}, "Dockerfile",
			[]string{"node_modules", "node_modules/x", "node_modules/x/y", "node_modules/keep", "node_modules/keep/z", "src", "src/main"},
		},
		"all but some": {
			map[string]string{".dockerignore": "**\n!src\n"}, "Dockerfile",
			[]string{"docker", "docker/notes", ".env", "a.log", "keep.log", "node_modules", "node_modules/x", "node_modules/x/y", "node_modules/keep", "node_modules/keep/z"},
		},
		"the Dockerfile itself and the ignore files": {
			map[string]string{".dockerignore": "docker\n.dockerignore\nDockerfile\n"}, "docker/base.Dockerfile",
			[]string{"docker", "docker/notes"},
		},
		"a Dockerfile that no build had yet": {
			map[string]string{".dockerignore": "docker\nnode_modules\n", "docker/base.Dockerfile.dockerignore": "src\n"}, "Dockerfile",
			[]string{"docker", "docker/notes", "node_modules", "node_modules/x", "node_modules/x/y", "node_modules/keep", "node_modules/keep/z"},
		},
		"one of the Dockerfile alone": {
			map[string]string{".dockerignore": ".env\n", "docker/base.Dockerfile.dockerignore": "src\n"}, "docker/base.Dockerfile",
			[]string{"src", "src/main"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			want := []string{"docker", "node_modules", "node_modules/x", "node_modules/keep", "src"}
			for _, f := range files {
				clitest.Write(t, filepath.Join(dir, f), "x")
				want = append(want, f)
			}
			for f, content := range test.ignore {
				clitest.Write(t, filepath.Join(dir, f), content)
				want = append(want, f)
			}
			want = slices.DeleteFunc(want, func(f string) bool { return slices.Contains(test.out, f) })
			slices.Sort(want)
			if got := packed(t, dir, test.dockerfile); !slices.Equal(got, want) {
				t.Errorf("sent are %q, not %q", got, want)
			}
		})
	}
}

func TestWhatIsNotSentMayBeOfAnyKind(t *testing.T) {
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, ".dockerignore"), "run\n")
	clitest.Write(t, filepath.Join(dir, "run/x"), "x")
	if err := syscall.Mkfifo(filepath.Join(dir, "run/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := packed(t, dir, "Dockerfile"); !slices.Equal(got, []string{".dockerignore"}) {
		t.Errorf("sent are %q", got)
	}
}

func TestADockerignoreThatCanNotBeReadIsSaid(t *testing.T) {
	dir := t.TempDir()
	clitest.Write(t, filepath.Join(dir, ".dockerignore"), "a[\n")
	if err := pack(io.Discard, dir, "Dockerfile"); err == nil || !strings.Contains(err.Error(), ".dockerignore") {
		t.Errorf("a bad pattern: %v", err)
	}
}

// packed lists what of a folder is sent, sorted.
func packed(t *testing.T, dir, dockerfile string) []string {
	t.Helper()
	var b bytes.Buffer
	if err := pack(&b, dir, dockerfile); err != nil {
		t.Fatal(err)
	}
	var out []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimSuffix(h.Name, "/"))
	}
	slices.Sort(out)
	return out
}
