package producer

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"go.yaml.in/yaml/v3"
)

func rendered(t testing.TB, p *Pipelines, names ...string) string {
	t.Helper()
	b, err := yaml.Marshal(p.Render(names...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// spelledOut are pipelines in which what a policy leaves out is what it means.
func spelledOut(p *Pipelines) []messages.Pipeline {
	all := p.All()
	for i := range all {
		all[i].Fleets = slices.Clone(all[i].Fleets)
		for j := range all[i].Fleets {
			policy := &all[i].Fleets[j].Policy
			policy.Reference = cmp.Or(policy.Reference, messages.ReferenceDigest)
			if policy.SoakFailures == nil {
				failures := messages.DefaultSoakFailures
				policy.SoakFailures = &failures
			}
		}
	}
	return all
}

// sameDeclared fails the test unless both declare the same.
func sameDeclared(t testing.TB, what string, want, got *Pipelines) {
	t.Helper()
	if g, w := spelledOut(got), spelledOut(want); !reflect.DeepEqual(g, w) {
		t.Errorf("%s: rendered and read again it is\n%+v\nwant\n%+v", what, g, w)
	}
	for i, d := range want.declared {
		if o := got.declared[i]; !reflect.DeepEqual(o.forges, d.forges) || !reflect.DeepEqual(o.secret, d.secret) {
			t.Errorf("%s: the webhook of %s is another", what, d.pipeline.Name)
		}
	}
}

// TestWhatIsRenderedDeclaresTheSame, and so are the defaults true that it fills in.
func TestWhatIsRenderedDeclaresTheSame(t *testing.T) {
	t.Setenv("SITE_NUMBER", "1.0")
	t.Setenv("SITE_COUNT", "3")
	for name, file := range map[string]string{
		"every field":  fullFile,
		"several":      testFile,
		"the least":    item(),
		"defaults":     defaultsFile,
		"a fleet":      item("    fleets: [{name: f}]"),
		"an apply":     item("    fleets: [{name: f, rollout: {apply: {}}}]"),
		"aliases":      item("    fleets: &f [{name: f, rollout: &r {canaries: 2}}, {name: g, rollout: *r}]"),
		"variables":    item("    branch: ${env:SITE_NUMBER}", "    attempts: \"${env:SITE_COUNT}\"", "    build_args: {A: '${env:SITE_NUMBER}', B: '$${env:X} $${y} $$${z}'}"),
		"odd texts":    item(`    branch: "1.0"`, `    directory: "on"`, `    build_args: {A: "yes", B: 010, C: "", D: "a\nb\n", E: " x", F: "null", G: '{}', H: '# x'}`),
		"no pipelines": "version: 1\npipelines: []\n",
	} {
		want := load(t, file)
		again := rendered(t, want, want.Names()...)
		got, err := LoadPipelines(writeFile(t, again))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, again)
			continue
		}
		sameDeclared(t, name, want, got)
	}
}

func TestRenderOfOne(t *testing.T) {
	out := rendered(t, load(t, testFile), "tools")
	for _, want := range []string{"name: tools\n", "branch: release/1.0\n", "timeout: 30m\n", "secret_file: other\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("it has no %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "name: base") || strings.Contains(out, testOther) {
		t.Errorf("it has too much:\n%s", out)
	}
}
