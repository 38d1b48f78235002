package producer

import (
	"errors"
	"path/filepath"

	"github.com/fenceline/fenceline/statuses/target"
	"github.com/fenceline/fenceline/yamlfile"
	"go.yaml.in/yaml/v3"
)

// LoadStatusTargets reads of a pipeline file where statuses go, and none of the secrets that webhooks have. The names of
// files count from the folder of the pipeline file.
func LoadStatusTargets(path string) ([]target.Target, error) {
	content, err := yamlfile.Content(path, "pipeline file")
	if err != nil {
		return nil, err
	}
	p, err := parsePipelines(path, content, func(string) (*hookSecret, bool, error) { return unknownSecret(), false, nil })
	if err != nil {
		return nil, err
	}
	var out []target.Target
	for _, d := range p.declared {
		if d.status == nil {
			continue
		}
		t := *d.status
		for _, file := range []*string{&t.TokenFile, &t.CAFile} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(filepath.Dir(path), *file)
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// status reads where the statuses of a pipeline's commits go.
func (d *document) status(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		t := &target.Target{}
		forge := ""
		d.mapping(n, field, []key{
			{"forge", "name the forge: github, gitlab, gitea, forgejo, bitbucket or bitbucket-server", d.text(&forge, nil)},
			{"url", "", d.text(&t.URL, nil)},
			{"repository", "", d.text(&t.Repository, nil)},
			{"context", "", d.text(&t.Context, nil)},
			{"target_url", "", d.text(&t.TargetURL, nil)},
			{"token_file", "name a file with a token that may write statuses", d.text(&t.TokenFile, checkPasted)},
			{"ca_file", "", d.text(&t.CAFile, nil)},
		})
		t.Forge = target.Forge(forge)
		x.status, x.statusNode = t, n
	}
}

// fillStatus completes what status read by the rest of the pipeline.
func (d *document) fillStatus(x *declared, field string) {
	if x.status == nil {
		return
	}
	x.status.Pipeline = x.pipeline.Name
	filled, err := x.status.Fill(x.pipeline.Repository)
	var at *target.FieldError
	if errors.As(err, &at) {
		n := value(x.statusNode, at.Field)
		if n == nil {
			n = x.statusNode
		}
		d.Problem(n, join(join(field, "status"), at.Field), "%v", at.Err)
		return
	}
	x.status = &filled
	if filled.Plain() {
		d.Warn(x.statusNode, join(field, "status"), "the token goes to %s without TLS: give an https address as url where others share the network", filled.URL)
	}
}
