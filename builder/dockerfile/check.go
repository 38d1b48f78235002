package dockerfile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Given is what a build gives to a Dockerfile, as far as that is known.
type Given struct {
	Args map[string]string // build arguments
	// Secrets are the names of the secrets that the pipeline gives. Nil: it is not known which.
	Secrets []string
}

// file is a Dockerfile while it is checked.
type file struct {
	name     string
	content  []byte
	stages   []instructions.Stage
	args     []instructions.ArgCommand // before the first FROM
	findings []messages.Finding
}

// Check checks a Dockerfile, which findings call name. What an image has that it begins from is not known here.
func Check(name string, content []byte, given Given) []messages.Finding {
	f := &file{name: name, content: content}
	f.frontend()
	parsed, err := parser.Parse(bytes.NewReader(content))
	if err == nil {
		f.lineEnds(parsed.AST.Children)
		f.stages, f.args, err = instructions.Parse(parsed.AST, linter.New(&linter.Config{}))
	}
	if err == nil {
		err = f.mounts()
	}
	if err != nil {
		f.broken(err)
	} else {
		f.refused(given)
		f.names()
		f.users()
		f.steps()
		f.convert(given)
	}
	slices.SortStableFunc(f.findings, func(a, b messages.Finding) int { return cmp.Compare(a.Line, b.Line) })
	return f.findings
}

// mounts reads the mounts of all RUN steps, with their variables as they stand.
func (f *file) mounts() error {
	for _, s := range f.stages {
		for _, c := range s.Commands {
			if run, ok := c.(*instructions.RunCommand); ok {
				if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
					return parser.WithLocation(err, run.Location())
				}
			}
		}
	}
	return nil
}

func (f *file) fault(line int, problem, fix string) {
	f.findings = append(f.findings, messages.Finding{File: f.name, Line: line, Problem: problem, Fix: fix})
}

func (f *file) warn(line int, problem, fix string) {
	f.findings = append(f.findings, messages.Finding{File: f.name, Line: line, Problem: problem, Fix: fix, Warning: true})
}

// parsePlace is how the frontend says a place that a finding has already.
var parsePlace = regexp.MustCompile(`^(dockerfile )?parse error on line \d+: `)

// broken is about what the frontend refuses.
func (f *file) broken(err error) {
	line, text := lineOf(err), parsePlace.ReplaceAllString(err.Error(), "")
	if slices.ContainsFunc(f.findings, func(x messages.Finding) bool { return !x.Warning && (x.Line == line || line == 0) }) {
		return // it was told before, in our own words
	}
	f.fault(line, text, "see the Dockerfile reference")
}

// lineOf is the line that an error of the frontend is about, or 0.
func lineOf(err error) int {
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		return at.Locations[0][0].Start.Line
	}
	return 0
}

// lineIn is the first line of an instruction.
func lineIn(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[0].Start.Line
}

// unknown stands for the value of a build argument that is not known here.
const unknown = "placeholder"

// convert has the frontend plan the build, with images of which nothing is known.
func (f *file) convert(given Given) {
	args := map[string]string{}
	for _, a := range f.args {
		for _, pair := range a.Args {
			if pair.Value == nil {
				args[pair.Key] = unknown
			}
		}
	}
	for k, v := range given.Args {
		args[k] = v
	}
	_, err := dockerfile2llb.Dockerfile2LLB(context.Background(), f.content, dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{BuildArgs: args}, MetaResolver: anyImage{},
		TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		Warn:           func(string, string, string, string, []parser.Range) {},
	})
	if err != nil && !strings.Contains(err.Error(), unknown) {
		f.broken(err)
	}
}

// anyImage finds every image there could be, with nothing in it.
type anyImage struct{}

func (anyImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}`), nil
}
