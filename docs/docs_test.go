// Package docs has tests that the documents say what is so.
package docs

import (
	"os"
	"os/exec"
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
	for _, pattern := range []string{"*.md", "decisions/*.md", "../examples/*/README.md"} {
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

// TestCommandsExist asks the program for help with each command that the documents show, and
// looks for its flags there.
func TestCommandsExist(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fenceline")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/fenceline").CombinedOutput(); err != nil {
		t.Fatalf("building fenceline: %v\n%s", err, out)
	}
	command := regexp.MustCompile("(?m)(?:^    (?:bin/)?|`)fenceline ([a-z][^`#\n]*)")
	flag := regexp.MustCompile(` --?[a-z][a-z-]*`)
	seen, help := map[string]bool{}, map[string][]byte{}
	for _, f := range documents(t) {
		text := strings.ReplaceAll(document(t, f), "\\\n", " ")
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			shown := strings.TrimSpace(m[1])
			if seen[shown] {
				continue
			}
			seen[shown] = true
			words := regexp.MustCompile(`^[a-z-]+( (producer|builder|controller|distributor|get|set|list|show|requeue|drop|retire))?`).FindString(shown)
			if strings.HasPrefix(words, "doctor") {
				words = "doctor" // the role is an argument
			}
			out, known := help[words]
			if !known {
				out, _ = exec.Command(program, append(strings.Fields(words), "--help")...).CombinedOutput()
				help[words] = out
			}
			if !strings.Contains(string(out), "  fenceline "+words) {
				t.Errorf("%s shows \"fenceline %s\", which is no command", f, shown)
				continue
			}
			for _, name := range flag.FindAllString(shown[len(words):], -1) {
				if !regexp.MustCompile(`(?m)^ +(-., )?` + strings.TrimSpace(name) + `\b`).Match(out) {
					t.Errorf("%s shows \"fenceline %s\", but there is no flag%s", f, shown, name)
				}
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d commands were found in the documents", len(seen))
	}
}
