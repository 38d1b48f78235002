package standalone_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/standalone"
)

func TestOpenStateRefuses(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"a folder of another layout":                {map[string]string{"version": "1\n"}, `says layout "1"`},
		"a folder with an empty version":            {map[string]string{"version": ""}, `says layout ""`},
		"a folder with parts and without a version": {map[string]string{"nats/x": ""}, `has "nats" but no version file`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range test.files {
				path := filepath.Join(dir, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := standalone.OpenState(dir)
			if !errors.Is(err, standalone.ErrLayout) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestOpenStateTakesAFolderThatHasPrograms(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := standalone.OpenState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSecret(t *testing.T) {
	s, err := standalone.OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, err := s.Secret("one")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Secret("one"); err != nil || again.Reveal() != first.Reveal() {
		t.Errorf("the second time it is another one, or %v", err)
	}
	if stat, err := os.Stat(s.SecretFile("one")); err != nil || stat.Mode().Perm() != 0o600 {
		t.Errorf("its file is %v, %v", stat.Mode(), err)
	}
	if err := os.Chmod(s.SecretFile("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret("one"); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("a secret that others can read gives %v", err)
	}
}
