package producer

import (
	"path/filepath"
	"slices"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/statuses/target"
	"github.com/fenceline/fenceline/yamlfile"
	"go.yaml.in/yaml/v3"
)

// Pipelines are what a pipeline file declares. They don't change once loaded.
type Pipelines struct {
	declared []*declared
	byName   map[string]*declared
	warnings []yamlfile.Problem
}

// declared is a pipeline with what only the producer needs to know of it.
type declared struct {
	pipeline messages.Pipeline
	branches messages.Patterns // of the branches that it builds, where it isn't its own alone
	tags     messages.Patterns // of the tags that it builds
	paths    messages.Patterns // of the files that it looks at
	pathList []string          // the same as written; nil where it looks at all
	skipCI   bool              // a commit's message can ask for no build
	place    place             // its repository, for comparing with those in payloads
	secret   *hookSecret       // nil when no webhook is accepted for it
	forges   []string          // whose webhooks are accepted for it
	line     int

	status     *target.Target // where its commits' statuses go; nil for nowhere
	statusNode *yaml.Node
}

// All returns the pipelines in the order of the file.
func (p *Pipelines) All() []messages.Pipeline {
	out := make([]messages.Pipeline, len(p.declared))
	for i, d := range p.declared {
		out[i] = d.pipeline
	}
	return out
}

// Warnings are what the file's author should look at, although it can be used.
func (p *Pipelines) Warnings() []yamlfile.Problem { return slices.Clone(p.warnings) }

func (p *Pipelines) names() []string {
	out := make([]string, len(p.declared))
	for i, d := range p.declared {
		out[i] = d.pipeline.Name
	}
	return out
}

// LoadPipelines reads a pipeline file (fenceline.yaml) and the secret files it names, which
// are relative to its folder. The error for a file with mistakes is a *yamlfile.InvalidError that
// lists all of them, each with its line; then the pipelines are none, with the warnings alone.
func LoadPipelines(path string) (*Pipelines, error) {
	content, err := yamlfile.Content(path, "pipeline file")
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	return parsePipelines(path, content, func(name string) (*hookSecret, bool, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		return readSecretFile(name)
	})
}

// parsePipelines reads a pipeline file's content. secret reads a secret file and tells
// whether every user of the machine may read it.
func parsePipelines(file string, content []byte, secret func(name string) (*hookSecret, bool, error)) (*Pipelines, error) {
	d := &document{reader: reader{yamlfile.Reader{File: file}}, secret: secret, secrets: map[string]*hookSecret{}}
	if root := d.Document(content, "version: 1 and a list of pipelines"); root != nil {
		d.read(root)
	}
	if err := d.Err(); err != nil {
		return &Pipelines{warnings: d.Warnings}, err
	}
	p := &Pipelines{declared: d.pipelines, byName: map[string]*declared{}, warnings: d.Warnings}
	for _, x := range d.pipelines {
		p.byName[x.pipeline.Name] = x
	}
	return p, nil
}
