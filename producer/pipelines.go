package producer

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// Pipelines are what a pipeline file declares. They don't change once loaded.
type Pipelines struct {
	declared []*declared
	byName   map[string]*declared
	warnings []Problem
}

// declared is a pipeline with what only the producer needs to know of it.
type declared struct {
	pipeline messages.Pipeline
	place    place       // its repository, for comparing with those in payloads
	secret   *hookSecret // nil when no webhook is accepted for it
	forges   []string    // whose webhooks are accepted for it
	line     int
}

// All returns the pipelines in the order of the file.
func (p *Pipelines) All() []messages.Pipeline {
	out := make([]messages.Pipeline, len(p.declared))
	for i, d := range p.declared {
		out[i] = d.pipeline
	}
	return out
}

// Lookup returns the pipeline with a name.
func (p *Pipelines) Lookup(name string) (messages.Pipeline, bool) {
	d, ok := p.byName[name]
	if !ok {
		return messages.Pipeline{}, false
	}
	return d.pipeline, true
}

// Warnings are what the file's author should look at, although it can be used.
func (p *Pipelines) Warnings() []Problem { return slices.Clone(p.warnings) }

func (p *Pipelines) names() []string {
	out := make([]string, len(p.declared))
	for i, d := range p.declared {
		out[i] = d.pipeline.Name
	}
	return out
}

// maxFileBytes is the most that a pipeline file may hold.
const maxFileBytes = 1 << 20

// LoadPipelines reads a pipeline file (fenceline.yaml) and the secret files it names, which
// are relative to its folder. The error for a file with mistakes is an *InvalidError that
// lists all of them, each with its line.
func LoadPipelines(path string) (*Pipelines, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the pipeline file: %w: name an existing file", err)
	}
	defer func() { _ = f.Close() }()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the pipeline file %s: %w", path, err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("reading the pipeline file %s: it has more than %d bytes: is it the right file?", path, maxFileBytes)
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
	d := &document{reader: reader{file: file}, secret: secret, secrets: map[string]*hookSecret{}}
	if root := d.document(content); root != nil {
		d.read(root)
	}
	if len(d.problems) > 0 {
		slices.SortStableFunc(d.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
		if len(d.problems) >= maxProblems {
			d.problems = append(d.problems, Problem{File: file, Text: "the rest of the file was not read: mend these first"})
		}
		return nil, &InvalidError{Problems: d.problems}
	}
	p := &Pipelines{declared: d.pipelines, byName: map[string]*declared{}, warnings: d.warnings}
	for _, x := range d.pipelines {
		p.byName[x.pipeline.Name] = x
	}
	return p, nil
}
