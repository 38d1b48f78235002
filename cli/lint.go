package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/fenceline/fenceline/builder/dockerfile"
	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
	"github.com/fenceline/fenceline/yamlfile"
	"github.com/spf13/cobra"
)

// linted is what `lint` found.
type linted struct {
	Checked  []string           `json:"checked"`
	Findings []messages.Finding `json:"findings"`

	given dockerfile.Given // by the pipelines, where there are any
}

// errLint tells that something found would be refused.
var errLint = errors.New("lint found errors")

func newLintCmd() *cobra.Command {
	var f format
	var folder string
	cmd := &cobra.Command{
		Use: "lint [DIR|FILE]", Short: "Check pipeline file, Dockerfile and hooks, without a server",
		Long: `Checks what lies in DIR (the current folder): fenceline.yaml, Dockerfile, and the admin
hooks in the folder hooks, without those that .dockerignore leaves out. What is not there is
not checked; where nothing is, that is an error. FILE is a pipeline file of any name, which
is checked alone. An error is what producer, builder or gate refuse, or what can't work where
nobody looks on; a warning is what may be meant. All are told at once, each with its line,
column and what to do; what a file says of other fields can show more once they are mended.

Exit status: 0 where there is no error, warnings or not; 1 where there is one, or nothing to
check; 2 where DIR or a flag is wrong.`,
		Example: "  fenceline lint examples/libgraphite2\n  fenceline lint /etc/fenceline/fenceline.yaml -o json",
		Args:    settings.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := &session{out: cmd.OutOrStdout(), format: f}
			switch {
			case folder == "":
				return s.lint(append(args, ".")[0])
			case len(args) > 0:
				return settings.Usagef("--pipelines and %s are both given: check one after the other", args[0])
			}
			return s.lintPipelines(folder)
		},
	}
	f.flag(cmd.Flags())
	settings.FolderVar(cmd.Flags(), &folder, "pipelines", "", "check a folder of pipeline files together, as a producer of --pipelines reads it")
	return cmd
}

// lintPipelines checks a pipeline file, or a folder of them.
func (s *session) lintPipelines(path string) error {
	l := linted{Checked: []string{path}, Findings: []messages.Finding{}}
	if err := l.pipelines(path); err != nil {
		return err
	}
	return s.report(l)
}

func (s *session) lint(dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return settings.Usagef("there is nothing to read at %s: name a folder (%w)", dir, err)
	case !info.IsDir() && !slices.Contains(producer.PipelineFileEndings(), filepath.Ext(dir)):
		return settings.Usagef("%s is a file, and none of YAML: name a pipeline file, or the folder that it is in, such as 'fenceline lint %s'", dir, filepath.Dir(dir))
	case !info.IsDir():
		return s.lintPipelines(dir)
	}
	l := linted{Checked: []string{}, Findings: []messages.Finding{}}
	for _, check := range []struct {
		file string
		do   func(path string) error
	}{
		{"fenceline.yaml", l.pipelines}, {messages.DefaultDockerfile, l.dockerfile}, {"hooks", l.hooks},
	} {
		path := filepath.Join(dir, check.file)
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return err
		}
		l.Checked = append(l.Checked, path)
		if err := check.do(path); err != nil {
			return err
		}
	}
	if len(l.Checked) == 0 {
		return fmt.Errorf("nothing to check in %s: it has no fenceline.yaml, Dockerfile or hooks", dir)
	}
	return s.report(l)
}

func (s *session) report(l linted) error {
	refused := 0
	for _, f := range l.Findings {
		if !f.Warning {
			refused++
		}
	}
	err := s.print(l, func(p *terminal.Page) {
		for _, f := range l.Findings {
			kind := "error"
			if f.Warning {
				kind = "warning"
			}
			p.Line("%s: %s", kind, f)
		}
		for _, c := range l.Checked {
			p.Line("checked %s", c)
		}
	})
	if err == nil && refused > 0 {
		err = fmt.Errorf("%w: %d", errLint, refused)
	}
	return err
}

func (l *linted) pipelines(path string) error {
	p, err := producer.LoadPipelines(path)
	var invalid *yamlfile.InvalidError
	switch {
	case errors.As(err, &invalid):
		l.problems(invalid.Problems, false)
		l.problems(p.Warnings(), true)
		return nil
	case err != nil:
		return err
	}
	l.problems(p.Warnings(), true)
	l.given = givenBy(p.All())
	return nil
}

// givenBy is what pipelines give to the Dockerfile beside their file.
func givenBy(pipelines []messages.Pipeline) dockerfile.Given {
	g := dockerfile.Given{Args: map[string]string{}, Secrets: []string{}}
	for _, p := range pipelines {
		if p.Dockerfile == messages.DefaultDockerfile {
			maps.Copy(g.Args, p.BuildArgs)
			g.Secrets = append(g.Secrets, p.Secrets...)
		}
	}
	return g
}

func (l *linted) problems(found []yamlfile.Problem, warning bool) {
	for _, p := range found {
		l.Findings = append(l.Findings, messages.Finding{File: p.File, Line: p.Line, Column: p.Column, Problem: p.Said(), Warning: warning || p.Absent})
	}
}

// dockerfile checks the Dockerfile as far as that goes without its base images.
func (l *linted) dockerfile(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	l.Findings = append(l.Findings, dockerfile.Check(path, content, l.given)...)
	return nil
}

func (l *linted) hooks(path string) error {
	ignored, err := readIgnored(filepath.Dir(path), messages.DefaultDockerfile)
	if err != nil {
		return err
	}
	r, err := hooks.CheckDir(path, func(name string) bool {
		left, err := ignored.patterns.MatchesOrParentMatches("hooks/" + name)
		return err == nil && left
	})
	if err != nil {
		return err
	}
	l.Findings = append(l.Findings, r.Findings...)
	return nil
}
