package producer

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// compileSchema makes a validator of the schema of pipeline files.
func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(FileSchema().JSON()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(SchemaID, schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// asEditorsSee is a YAML value as an editor's language server takes it, by the core schema of YAML 1.2.
func asEditorsSee(t testing.TB, n *yaml.Node) any {
	t.Helper()
	switch n.Kind {
	case yaml.DocumentNode:
		return asEditorsSee(t, n.Content[0])
	case yaml.AliasNode:
		return asEditorsSee(t, n.Alias)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = asEditorsSee(t, item)
		}
		return out
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = asEditorsSee(t, n.Content[i+1])
		}
		return out
	}
	var v any
	switch n.Tag {
	case "!!int", "!!float", "!!bool", "!!null":
		if err := n.Decode(&v); err == nil {
			return v
		}
	}
	return n.Value
}

func editorsSee(t testing.TB, content string) any {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(content), &n); err != nil {
		t.Fatal(err)
	}
	return asEditorsSee(t, &n)
}

func TestTheSchemaIsOne(t *testing.T) {
	meta, err := jsonschema.NewCompiler().Compile("https://json-schema.org/draft/2020-12/schema")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(FileSchema().JSON(), &v); err != nil {
		t.Fatal(err)
	}
	if err := meta.Validate(v); err != nil {
		t.Error(err)
	}
}

func TestTheSchemaTakesWhatIsRead(t *testing.T) {
	for name, value := range map[string]string{"SITE_COUNT": "3", "SITE_TIME": "5m", "SITE_FORM": "local", "SITE_TRUE": "true"} {
		t.Setenv(name, value)
	}
	schema := compileSchema(t)
	for name, content := range map[string]string{
		"every field":     fullFile,
		"what tests use":  testFile,
		"the least":       item(),
		"sinks":           sinksFile + item("    fleets: [{name: production}]"),
		"no pipelines":    "version: 1\npipelines: []\n",
		"arguments":       item("    build_args: {A: yes, B: 010, C: 1.10, D: 2020-01-02, E: 'x', F: True}"),
		"durations":       item("    timeout: 1h30m", "    retry_for: 1.5h"),
		"no soak":         item("    fleets: [{name: f, rollout: {soak: 0s, soak_failures: 0%, max_in_flight: 0}}]"),
		"defaults":        defaultsFile,
		"variables":       item("    attempts: ${env:SITE_COUNT}", "    timeout: ${env:SITE_TIME}", "    fleets: [{name: f, reference: '${env:SITE_FORM}', rollout: {approval: '${env:SITE_TRUE}'}}]"),
		"an odd branch":   item("    branch: grün/名前"),
		"a name of digit": strings.Replace(item(), "name: base", `name: "7"`, 1),
	} {
		if _, err := LoadPipelines(writeFile(t, content)); err != nil {
			t.Errorf("%s is not read: %v", name, err)
		}
		if err := schema.Validate(editorsSee(t, content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	schema := compileSchema(t)
	fleet := func(text string) string { return item("    fleets: [{name: f, " + text + "}]") }
	for name, content := range map[string]string{
		"an unknown field":         item("    dockerfiel: x"),
		"one at the top":           "nope: 1\n" + item(),
		"a sink without a name":    "sinks: [{url: \"https://x\"}]\n" + item(),
		"a sink of another format": "sinks: [{name: a, url: \"https://x\", format: irc}]\n" + item(),
		"one of a fleet":           fleet("nope: 1"),
		"one of a rollout":         fleet("rollout: {canarys: 1}"),
		"one of a trial":           fleet("rollout: {trial: {time: 1s}}"),
		"no version":               "pipelines: []\n",
		"another version":          "version: 2\npipelines: []\n",
		"no pipelines":             "version: 1\n",
		"a mapping of pipelines":   "version: 1\npipelines: {a: b}\n",
		"no image":                 "version: 1\npipelines: [{name: a, repository: https://git.example.com/b.git}]\n",
		"a number for text":        item("    branch: 1.0"),
		"nothing for text":         item("    branch:"),
		"text for a number":        item("    attempts: many"),
		"a number in quotes":       item("    attempts: '3'"),
		"a number out of range":    item("    attempts: 0"),
		"a duration without unit":  item("    timeout: 5"),
		"a duration of days":       item("    timeout: 5d"),
		"a percentage without %":   fleet("rollout: {quorum: 90}"),
		"a percentage of too much": fleet("rollout: {quorum: 101%}"),
		"a name without defaults":  "version: 1\npipelines: [{name: a}]\n",
		"a fleet without a name":   "defaults: {timeout: 1m}\n" + item("    fleets: [{reference: local}]"),
		"an unknown default":       "defaults: {nope: 1}\n" + item(),
		"a name by default":        "defaults: {name: x}\n" + item(),
		"a fence by default":       "defaults: {fleet: {fence: kato}}\n" + item(),
		"a quorum of none":         fleet("rollout: {quorum: 0%}"),
		"yes for true":             fleet("rollout: {approval: yes}"),
		"an unknown way":           fleet("pull: {way: mirror}"),
		"an unknown forge":         item("    webhook: {secret_file: hook, forges: [githup]}"),
		"a webhook of no secret":   item("    webhook: {forges: [github]}"),
		"an unknown reference":     fleet("reference: tag"),
		"an unknown place":         fleet("fence: katto"),
		"a name twice":             fleet("name2: x"),
		"a name with a capital":    strings.Replace(item(), "name: base", "name: Base", 1),
		"ssh":                      strings.Replace(item(), "https://", "ssh://", 1),
		"a relative hooks folder":  item("    hooks_dir: hooks"),
		"a platform of one word":   item("    platform: amd64"),
		"an argument of a list":    item("    build_args: {A: [b]}"),
		"a secret twice":           item("    secrets: [a, a]"),
		"a secret by its path":     item("    secrets: [../x]"),
		"a mirror without a URL":   fleet("pull: {way: mirrors, mirrors: [{labels: {a: b}}]}"),
	} {
		if _, err := LoadPipelines(writeFile(t, content)); err == nil {
			t.Errorf("%s is read", name)
		}
		if err := schema.Validate(editorsSee(t, content)); err == nil {
			t.Errorf("%s is taken by the schema", name)
		}
	}
}

// TestEveryFieldIsDescribed by a type and in words.
func TestEveryFieldIsDescribed(t *testing.T) {
	for path, s := range FileSchema().Fields() {
		if s.Description == "" {
			t.Errorf("%s has no words: add them to fieldwords.go, as in its row of docs/configuration.md", path)
		}
		if s.Type == nil && s.AnyOf == nil {
			t.Errorf("%s says nothing of what it takes: read it by the reader's own text, integer, words and the like", path)
		}
	}
	for path := range words {
		if _, ok := FileSchema().Fields()[path]; !ok && !strings.HasSuffix(path, "[]") {
			t.Errorf("fieldwords.go has words for %s, which is no field", path)
		}
	}
}
