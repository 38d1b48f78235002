package producer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

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
	path     string           // of the file that they are from
	read     map[string]stamp // what was read with it, by path, and how it was then

	sinks   []declaredSink
	console string // its address

	ownersOnce sync.Once
	owners     map[string][]string // the pipelines whose image each repository has
}

// imageOwners are the pipelines whose image each repository has, as pins name it.
func (p *Pipelines) imageOwners() map[string][]string {
	p.ownersOnce.Do(func() {
		p.owners = map[string][]string{}
		for _, d := range p.declared {
			r := repositoryOf(d.pipeline.Image)
			p.owners[r] = append(p.owners[r], d.pipeline.Name)
		}
	})
	return p.owners
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
	poll     messages.Duration // between looks at its repository; 0 for one look, at a producer's start, where webhooks are accepted
	forges   []string          // whose webhooks are accepted for it

	schedules []scheduled // when it is built in any case
	rebuild   rebuildOn

	status     *target.Target // where its commits' statuses go; nil for nowhere
	statusNode *yaml.Node

	node          *yaml.Node // as the file has it, with its defaults
	at            spot
	fleetDefaults *yaml.Node // what its fleets have beside what they say, or nil
}

// buildsAs tells whether the same pushes make the same builds of it and of another.
func (d *declared) buildsAs(o *declared) bool {
	return d.skipCI == o.skipCI && slices.Equal(d.pathList, o.pathList) && reflect.DeepEqual(d.pipeline, o.pipeline)
}

// takesAs tells whether the same webhooks are accepted for it and for another.
func (d *declared) takesAs(o *declared) bool {
	return slices.Equal(d.forges, o.forges) && reflect.DeepEqual(d.secret, o.secret)
}

// comesAs tells whether the same leads to its builds, beside webhooks, as to those of another.
func (d *declared) comesAs(o *declared) bool {
	return d.poll == o.poll && reflect.DeepEqual(d.rebuild, o.rebuild) && slices.EqualFunc(d.schedules, o.schedules, func(a, b scheduled) bool { return a.same(&b) })
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

// LoadPipelines reads a pipeline file (fenceline.yaml), or all those of a folder, in the order of their names. Files that they name
// are relative to their folder. The error for files with mistakes is a *yamlfile.InvalidError that
// lists all of them, each with its line; then the pipelines are none, with the warnings alone.
func LoadPipelines(path string) (*Pipelines, error) { return (&loading{}).pipelines(path) }

// pipelines is LoadPipelines.
func (l *loading) pipelines(path string) (*Pipelines, error) {
	l.folder, l.read = path, map[string]stamp{path: stampOf(path)}
	none := &Pipelines{path: path, read: l.read}
	files, err := pipelineFiles(path)
	if err != nil {
		return none, err
	}
	if !slices.Equal(files, []string{path}) {
		l.read[path] = stampOf(path).listing(files)
	} else {
		l.folder = filepath.Dir(path)
	}
	d := &document{load: l}
	for _, f := range files {
		l.read[f] = stampOf(f)
		content, err := yamlfile.Content(f, "pipeline file")
		if err != nil {
			return none, err
		}
		d.file(f, content)
	}
	p, err := d.result()
	p.path, p.read = path, l.read
	return p, err
}

// pipelineFiles are the pipeline files at a path: itself, or those of a folder.
func pipelineFiles(path string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil //nolint:nilerr // reading it tells what is wrong
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of pipeline files: %w", err)
	}
	var files []string
	for _, e := range entries { // in the order of their names
		file := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains(PipelineFileEndings(), filepath.Ext(e.Name())) {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			continue
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("reading the folder of pipeline files: %s has no file whose name ends in .yaml or .yml", path)
	}
	return files, nil
}

// PipelineFileEndings are how the names of pipeline files in a folder end.
func PipelineFileEndings() []string { return []string{".yaml", ".yml"} }

// file reads one pipeline file's content.
func (d *document) file(name string, content []byte) {
	d.Reader = yamlfile.Reader{File: name}
	if root := d.Document(content, "version: 1 and a list of pipelines"); root != nil {
		d.Replace(root, []string{variableEnv, variableFile}, d.load.lookup)
		d.read(root)
	}
	var invalid *yamlfile.InvalidError
	if errors.As(d.Err(), &invalid) {
		d.wrong = append(d.wrong, invalid.Problems...)
	}
	d.warnings = append(d.warnings, d.Warnings...)
}

// result is what the files declare.
func (d *document) result() (*Pipelines, error) {
	if len(d.wrong) == 0 {
		d.checkSinkFleets()
		d.checkCycles()
	}
	if len(d.wrong) > 0 {
		return &Pipelines{warnings: d.warnings}, &yamlfile.InvalidError{Problems: d.wrong}
	}
	p := &Pipelines{declared: d.pipelines, byName: map[string]*declared{}, warnings: d.warnings, sinks: d.sinks, console: d.console}
	for _, x := range d.pipelines {
		p.byName[x.pipeline.Name] = x
	}
	return p, nil
}
