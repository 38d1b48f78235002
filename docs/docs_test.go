// Package docs has tests that the documents say what is so.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/producer"
)

func document(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// documents are the files of all documents.
func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md"}
	for _, pattern := range []string{"*.md", "decisions/*.md", "integrations/*.md", "forges/*.md", "../producer/testdata/hooks/*.md", "../examples/*/README.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	return files
}

func TestTheReferenceLoads(t *testing.T) {
	_, rest, found := strings.Cut(document(t, "configuration.md"), "```yaml\n")
	example, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("configuration.md has no yaml block")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "fenceline.yaml")
	for name, content := range map[string]string{file: example, filepath.Join(dir, "hook.secret"): strings.Repeat("x", 64)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := producer.LoadPipelines(file)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Warnings(); len(w) > 0 {
		t.Errorf("the reference has warnings: %v", w)
	}
}

// TestLinksLead follows the links between the documents.
func TestLinksLead(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, f := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(document(t, f), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(f), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", f, m[1])
			}
		}
	}
}
