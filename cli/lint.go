package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
	"github.com/fenceline/fenceline/yamlfile"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/spf13/cobra"
)

// linted is what `lint` found.
type linted struct {
	Checked  []string           `json:"checked"`
	Findings []messages.Finding `json:"findings"`
}

// errLint tells that something found would be refused.
var errLint = errors.New("lint found errors")

func newLintCmd() *cobra.Command {
	var f format
	cmd := &cobra.Command{
		Use: "lint [DIR]", Short: "Check pipeline file, Dockerfile and hooks, without a server",
		Long: `Checks what lies in DIR (the current folder): fenceline.yaml, Dockerfile, and the admin
hooks in the folder hooks. What is not there is not checked; where nothing is, that is an
error.`,
		Example: "  fenceline lint examples/libgraphite2",
		Args:    settings.Args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s := &session{out: cmd.OutOrStdout(), format: f}
			return s.lint(append(args, ".")[0])
		},
	}
	f.flag(cmd.Flags())
	return cmd
}

func (s *session) lint(dir string) error {
	switch info, err := os.Stat(dir); {
	case err != nil:
		return settings.Usagef("there is nothing to read at %s: name a folder (%w)", dir, err)
	case !info.IsDir():
		return settings.Usagef("%s is a file: name the folder that it is in, such as 'fenceline lint %s'", dir, filepath.Dir(dir))
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
		return nil
	case err != nil:
		return err
	}
	l.problems(p.Warnings(), true)
	return nil
}

func (l *linted) problems(found []yamlfile.Problem, warning bool) {
	for _, p := range found {
		l.Findings = append(l.Findings, messages.Finding{File: p.File, Line: p.Line, Problem: p.Field + ": " + p.Text, Warning: warning || p.Absent})
	}
}

// dockerfile checks that the Dockerfile parses, as the built-in frontend will read it.
func (l *linted) dockerfile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	parsed, err := parser.Parse(f)
	if err == nil {
		_, _, err = instructions.Parse(parsed.AST, nil)
	}
	if err != nil {
		l.Findings = append(l.Findings, messages.Finding{
			File: path, Line: lineOf(err), Problem: err.Error(), Fix: "see the Dockerfile reference",
		})
	}
	return nil
}

// lineOf is the line that a parse error is about, or 0.
func lineOf(err error) int {
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		return at.Locations[0][0].Start.Line
	}
	return 0
}

func (l *linted) hooks(path string) error {
	r, err := hooks.CheckDir(path)
	if err != nil {
		return err
	}
	l.Findings = append(l.Findings, r.Findings...)
	return nil
}
