package buildkit

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

func FuzzReadPlan(f *testing.F) {
	f.Add([]byte(`{"def":{"sha256:a":{"source":{"identifier":"docker-image://docker.io/library/x:1@sha256:` + strings.Repeat("0", 64) + `"}}},"source":{"infos":[{"filename":"Dockerfile","data":"eA=="}],"locations":{"sha256:a":{"locations":[{"ranges":[{"start":{"line":1}}]}]}}}}`))
	f.Add([]byte(`{"def":{"a":{"exec":{"mounts":[{"secretOpt":{"ID":"x"}}]}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := readPlan(raw)
		if err != nil {
			return
		}
		for digest, op := range p.ops {
			p.place(digest)
			secretsOf(op.GetExec())
		}
		p.frontend()
		bases, err := p.images()
		if err != nil {
			return
		}
		for _, b := range bases {
			if _, err := messages.ParseImage(b.Image.String()); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPolicyConvertsTagsAlone(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	p := pins{bases: []messages.PinnedBase{
		{Source: "r.example:5000/tagged:1", Image: messages.Image("r.example:5000/tagged@" + digest)},
		{Source: "r.example:5000/pinned", Image: messages.Image("r.example:5000/pinned@" + digest)},
	}}
	rules := p.policy(nil).GetRules()
	if len(rules) != 1 || rules[0].GetSelector().GetIdentifier() != "docker-image://r.example:5000/tagged:1" ||
		rules[0].GetUpdates().GetIdentifier() != "docker-image://r.example:5000/tagged:1@"+digest {
		t.Errorf("rules %v", rules)
	}
}

func TestWhatEnginesCantUseIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		packed packed
		words  []string // none where it is fine
	}{
		"layers in zstd":   {packed{layers: 3, zstd: true}, []string{"zstd", "engine"}},
		"126 layers":       {packed{layers: 126}, []string{"126 layers", "at most 125"}},
		"125 layers":       {packed{layers: 125}, nil},
		"an unknown image": {packed{}, nil},
	} {
		err := checkPacked(c.packed)
		if (err != nil) != (c.words != nil) {
			t.Errorf("%s: %v", what, err)
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, without %q", what, err, w)
			}
		}
	}
}
