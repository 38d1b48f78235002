package buildkit_test

import (
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// write puts files into a new folder.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestWhatIsIgnoredIsInNoImage builds one tree from a repository and as an uploaded context.
func TestWhatIsIgnoredIsInNoImage(t *testing.T) {
	b := newBench(t)
	dockerfile := "FROM " + b.base + "\nCOPY . /opt/site/\nRUN --mount=type=bind,target=/src ls -a /src > /seen\nCOPY hooks/pre-running /etc/stackato/hooks/\n"
	for name, c := range map[string]struct {
		dir, dockerfile string
		files           map[string]string
		want            []string
	}{
		"names and patterns": {files: map[string]string{".dockerignore": ".env\nhooks/*.md\n", ".env": "DB_PASSWORD=x\n", "hooks/README.md": "# notes\n"},
			want: []string{".dockerignore", "Dockerfile", "hooks", "hooks/pre-running"}},
		"exceptions": {files: map[string]string{".dockerignore": "*\n!hooks\n**/*.key\n", "a/b.txt": "x", "hooks/x.key": "x"},
			want: []string{"hooks", "hooks/pre-running"}},
		"the Dockerfile's own": {files: map[string]string{".dockerignore": "hooks\n", "Dockerfile.dockerignore": "# mine\n.env\nDockerfile*\n", ".env": "x"},
			want: []string{".dockerignore", "hooks", "hooks/pre-running"}},
		"in a folder": {dir: "sub", files: map[string]string{"sub/.dockerignore": "Dockerfile\n.env\n", "sub/.env": "x", ".env": "x", ".dockerignore": "sub/hooks\n"},
			want: []string{".dockerignore", "hooks", "hooks/pre-running"}},
		"beside a Dockerfile in a folder": {dockerfile: "docker/File", files: map[string]string{"docker/File.dockerignore": "docker\nDockerfile\n.env\n", ".env": "x"},
			want: []string{"hooks", "hooks/pre-running"}},
		"nothing": {files: map[string]string{".dockerignore": "# nothing\n\n", ".env": "x"},
			want: []string{".dockerignore", ".env", "Dockerfile", "hooks", "hooks/pre-running"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{filepath.Join(c.dir, "Dockerfile"): dockerfile, filepath.Join(c.dir, "hooks/pre-running"): "#!/bin/sh\necho ready\n"}
			maps.Copy(files, c.files)
			if c.dockerfile != "" {
				files[c.dockerfile] = dockerfile
			}
			repo := b.git.Repository(t, filepath.Base(t.Name()))
			pushed := b.order(t, nil)
			pushed.Pipeline.Directory, pushed.Pipeline.Repository = c.dir, repo.URL
			pushed.Commit = repo.Commit(t, "main", files)
			uploaded := b.order(t, nil)
			if c.dockerfile != "" {
				pushed.Pipeline.Dockerfile, uploaded.Pipeline.Dockerfile = c.dockerfile, c.dockerfile
			}
			uploaded.Context = filepath.Join(write(t, files), c.dir)
			for way, o := range map[string]*order{"pushed": pushed, "uploaded": uploaded} {
				var found []string
				o.Check = func(_ context.Context, image fs.FS) error {
					return fs.WalkDir(image, "opt/site", func(path string, _ fs.DirEntry, err error) error {
						if err == nil && path != "opt/site" {
							found = append(found, path[len("opt/site/"):])
						}
						return err
					})
				}
				if _, err := b.solver.Solve(t.Context(), o.Build); err != nil {
					t.Fatalf("%s: %v", way, err)
				}
				if !slices.Equal(found, c.want) {
					t.Errorf("%s: the image has %q, want %q", way, found, c.want)
				}
			}
		})
	}
	t.Run("a pattern that is none", func(t *testing.T) {
		b.fails(t, b.order(t, map[string]string{"Dockerfile": dockerfile, ".dockerignore": "a[\n"}), messages.FailureUser, ".dockerignore", "can't be read", "pattern")
	})
}
