package dockerfile

import (
	"path"
	"strings"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"mvdan.cc/sh/v3/syntax"
)

// steps looks for RUN steps that wait for somebody.
func (f *file) steps() {
	for _, s := range f.stages {
		shell, quiet := true, false
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.ShellCommand:
				shell = len(c.Shell) > 0 && strings.HasSuffix(path.Base(c.Shell[0]), "sh")
			case *instructions.EnvCommand:
				for _, e := range c.Env {
					quiet = quiet || e.Key == "DEBIAN_FRONTEND"
				}
			case *instructions.ArgCommand:
				for _, a := range c.Args {
					quiet = quiet || a.Key == "DEBIAN_FRONTEND" && a.Value != nil
				}
			case *instructions.RunCommand:
				f.step(c, shell, quiet)
			}
		}
	}
}

// step checks one RUN. shell: its text is for a shell that is read here.
func (f *file) step(run *instructions.RunCommand, shell, quiet bool) {
	line := lineIn(run.Location())
	if !run.PrependShell {
		if problem, fix := hooks.Asks(run.CmdLine, quiet); problem != "" {
			f.fault(line, problem, fix)
		}
		return
	}
	if !shell {
		return
	}
	script, first := strings.Join(run.CmdLine, " "), line
	if len(run.Files) > 0 && strings.HasPrefix(strings.TrimSpace(script), "<<") {
		script, first = run.Files[0].Data, line+1
		if interpreter, ok := strings.CutPrefix(script, "#!"); ok {
			words := strings.Fields(strings.SplitN(interpreter, "\n", 2)[0])
			if len(words) == 0 || !strings.HasSuffix(words[len(words)-1], "sh") {
				return
			}
		}
	} else {
		for _, file := range run.Files { // it stands behind the command, as in a script
			script += "\n" + file.Data + file.Name + "\n"
		}
		script, first = f.asWritten(run.Location(), script), line
	}
	tree, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return // its shell may read it: what it says shows in the build
	}
	at := func(n int) int { return min(first+n-1, lastLine(run.Location())) }
	hooks.NeedsPerson(tree, quiet, func(n int, problem, fix string) { f.fault(at(n), problem, fix) }, func(n int, problem, fix string) { f.warn(at(n), problem, fix) })
}

// asWritten is the text of a RUN with its lines as they stand in the file, so that places are right; or script,
// where they are not the same.
func (f *file) asWritten(at []parser.Range, script string) string {
	written := strings.Join(f.lines(at), "\n")
	i := strings.IndexFunc(written, func(r rune) bool { return r == ' ' || r == '\t' })
	if i < 0 || strings.Contains(script, "\n") {
		return script
	}
	blank := strings.Repeat(" ", i)
	var kept []string
	for n, l := range strings.Split(blank+written[i:], "\n") {
		if n > 0 && strings.HasPrefix(strings.TrimSpace(l), "#") {
			l = `\` // the frontend takes comments out
		}
		kept = append(kept, l)
	}
	text := strings.Join(kept, "\n")
	for strings.HasPrefix(strings.TrimSpace(text), "--") { // options of RUN
		trimmed := strings.TrimLeft(text, " \t")
		end := strings.IndexAny(trimmed, " \t\n")
		if end < 0 {
			return script
		}
		text = trimmed[end:]
	}
	return text
}

// lines are those of the file in which an instruction stands.
func (f *file) lines(at []parser.Range) []string {
	all := strings.Split(strings.ReplaceAll(string(f.content), "\r\n", "\n"), "\n")
	first, last := lineIn(at), lastLine(at)
	if first < 1 || last > len(all) || last < first {
		return nil
	}
	return all[first-1 : last]
}

func lastLine(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[len(at)-1].End.Line
}
