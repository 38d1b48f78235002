package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cluster = `{
  "config": {"fence": {"docker": {"image": "stackato/stack/alsek", "privileged": false}, "uid": 12}, "dea_ng": {"a": "b"}},
  "nodes": {"10.0.0.2": ["dea"], "10.0.0.1": ["base", "primary"]}
}`

// TestItDoesWhatIsDocumented: examples as the guide and the command reference have them.
func TestItDoesWhatIsDocumented(t *testing.T) {
	for _, c := range []struct {
		args, in           string
		out, warns, failed string
	}{
		{"config get fence docker/image", "", "stackato/stack/alsek\n", "", ""},
		{"config get -j fence docker/image", "", "\"stackato/stack/alsek\"\n", "", ""},
		{"config get -j dea_ng", "", "{\n  \"a\": \"b\"\n}\n", "", ""},
		{"config get --json fence uid", "", "12\n", "", ""},
		{"config get fence docker/images", "", "", "", "there is no fence docker/images"},
		{"config get nothing", "", "", "", "there is no nothing"},
		{"config get fence uid/x", "", "", "", "there is no fence uid/x"},
		{"config set fence docker/image exampleco/newimg", "", "exampleco/newimg\n", "WARNING: Assumed type string\n", ""},
		{"config set fence docker/image", "exampleco/newimg\n", "exampleco/newimg\n", "WARNING: Assumed type string\n", ""},
		{`config set fence docker/images ["a","b"]`, "", "- a\n- b\n", "WARNING: Assumed type struct\n", ""},
		{`config set -j fence docker/images ["a"]`, "", "- a\n", "", ""},
		{`config set -j fence docker/images ["a"`, "", "", "", "is no JSON"},
		{"config set fence docker/privileged true", "", "true\n", "WARNING: Assumed type bool\n", ""},
		{"config set fence docker/image true", "", "", "WARNING: Assumed type bool\n", "--force"},
		{"config set --force fence docker/image true", "", "true\n", "WARNING: Assumed type bool\n", ""},
		{"config del fence docker/image", "", "", "", ""},
		{"config del fence no/such", "", "", "", "there is no fence no/such"},
		{"node list", "", "10.0.0.1 base primary\n10.0.0.2 dea\n", "", ""},
		{"node list -j", "", "{\n  \"10.0.0.1\": [\n    \"base\",\n    \"primary\"\n  ],\n  \"10.0.0.2\": [\n    \"dea\"\n  ]\n}\n", "", ""},
		{"config get -x fence", "", "", "", "usage"},
		{"node retire", "", "", "", "usage"},
		{"", "", "", "", "usage"},
	} {
		t.Run(c.args, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kato.json")
			if err := os.WriteFile(file, []byte(cluster), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("KATO_FILE", file)
			var out, warns bytes.Buffer
			err := run(strings.Fields(c.args), strings.NewReader(c.in), &out, &warns)
			if out.String() != c.out || warns.String() != c.warns || (err != nil) != (c.failed != "") || err != nil && !strings.Contains(err.Error(), c.failed) {
				t.Errorf("printed %q, warned %q, error %v", out.String(), warns.String(), err)
			}
			after, _ := os.ReadFile(file)
			if changed := string(after) != cluster; changed != (err == nil && (strings.Contains(c.args, "set") || strings.Contains(c.args, "del"))) {
				t.Errorf("the store is\n%s", after)
			}
		})
	}
}
