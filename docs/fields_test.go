package docs

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/producer"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// fieldTables are the parts of configuration.md that list fields, and which they are the fields of.
var fieldTables = map[string]string{
	"### A pipeline": "pipelines[].", "### A fleet": "pipelines[].fleets[].",
	"### A fleet's `rollout`": "pipelines[].fleets[].rollout.", "### How nodes fetch": "pipelines[].fleets[].",
	"### Sinks": "",
}

var (
	fieldRow = regexp.MustCompile("(?m)^\\| (`[^|]+`) \\| (.*?) \\| ")
	linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// documentedFields are the fields that configuration.md lists, by path, and the first sentence about each.
func documentedFields(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for title, of := range fieldTables {
		_, part, found := strings.Cut(document(t, "configuration.md"), title+"\n")
		if !found {
			t.Fatalf("configuration.md has no part %s", title)
		}
		part, _, _ = strings.Cut(part, "\n##")
		for _, m := range fieldRow.FindAllStringSubmatch(part, -1) {
			text := strings.ReplaceAll(linkText.ReplaceAllString(m[2], "$1"), "`", "")
			text, _, _ = strings.Cut(text, ". ")
			for _, name := range strings.Split(strings.ReplaceAll(m[1], "`", ""), ", ") {
				switch name {
				case "url", "labels", "time_limit", "back_off":
					name = "pull.mirrors[]." + name
				}
				out[of+name] = text
			}
		}
	}
	return out
}

// TestEveryFieldIsInTheTables, and each row says of it what editors show.
func TestEveryFieldIsInTheTables(t *testing.T) {
	documented := documentedFields(t)
	fields := producer.FileSchema().Fields()
	for path, text := range documented {
		s, ok := fields[path]
		if !ok {
			t.Errorf("configuration.md lists %s, which no pipeline file has", path)
			continue
		}
		if s.Description != text {
			t.Errorf("of %s configuration.md says first\n  %s\nand editors show\n  %s\n(producer/fieldwords.go)", path, text, s.Description)
		}
	}
	for path, s := range fields {
		if s.Properties != nil || path == "version" || path == "pipelines" || strings.HasPrefix(path, "defaults.") {
			continue // its own fields are listed
		}
		if _, ok := documented[path]; !ok {
			t.Errorf("configuration.md doesn't list %s", path)
		}
	}
}

// TestExamplesFollowTheSchema that they name in their first line.
func TestExamplesFollowTheSchema(t *testing.T) {
	files, err := filepath.Glob("../examples/*/fenceline.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, f := range append(files, "../compose/fenceline.yaml") {
		content := document(t, f)
		first, _, _ := strings.Cut(content, "\n")
		name, ok := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if !ok {
			t.Errorf("%s begins with %q, not with its schema", f, first)
			continue
		}
		schema, err := jsonschema.NewCompiler().Compile(filepath.Join(filepath.Dir(f), name))
		if err != nil {
			t.Errorf("the schema of %s: %v", f, err)
			continue
		}
		var v any
		if err := yaml.Unmarshal([]byte(content), &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}
