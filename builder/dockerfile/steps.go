package dockerfile

import (
	"path"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"mvdan.cc/sh/v3/syntax"
)

// step is what RUN steps find that stand at a place of a stage.
type step struct {
	shell    bool // they are for a shell that is read here
	quiet    bool // DEBIAN_FRONTEND is in their environment
	answered bool // what stands before may have set the package managers to go on without an answer
}

// steps looks for RUN steps that wait for somebody.
func (f *file) steps() {
	ends := map[string]step{} // how stages leave it, by name
	for _, s := range f.stages {
		at, ok := ends[strings.ToLower(s.BaseName)]
		if !ok {
			at = step{shell: true}
		}
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.ShellCommand:
				at.shell = len(c.Shell) > 0 && strings.HasSuffix(path.Base(c.Shell[0]), "sh")
			case *instructions.EnvCommand:
				for _, e := range c.Env {
					at.quiet = at.quiet || e.Key == "DEBIAN_FRONTEND"
					at.answered = at.answered || e.Key == "APT_CONFIG"
				}
			case *instructions.ArgCommand:
				for _, a := range c.Args {
					at.quiet = at.quiet || a.Key == "DEBIAN_FRONTEND" && a.Value != nil
				}
			case *instructions.CopyCommand:
				at.answered = at.answered || sets(c.DestPath)
			case *instructions.AddCommand:
				at.answered = at.answered || sets(c.DestPath)
			case *instructions.RunCommand:
				at.answered = f.step(c, at)
			}
		}
		ends[strings.ToLower(s.Name)] = at
	}
}

// sets tells whether files that are copied there may be settings of package managers.
func sets(to string) bool {
	to = path.Clean("/" + to)
	return slices.ContainsFunc([]string{"/etc/apt", "/etc/yum.conf", "/etc/dnf"}, func(of string) bool {
		return to == "/" || to == "/etc" || to == of || strings.HasPrefix(to, of+"/")
	})
}

// step checks one RUN, and tells whether package managers may be answered behind it.
func (f *file) step(run *instructions.RunCommand, at step) (answered bool) {
	line := lineIn(run.Location())
	if !run.PrependShell {
		if problem, fix := hooks.Asks(run.CmdLine, at.quiet); problem != "" && !at.answered {
			f.fault(line, problem, fix)
		}
		return at.answered
	}
	if !at.shell {
		return at.answered
	}
	script, first := f.script(run)
	tree, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(script), "")
	if err != nil {
		return at.answered // its shell may read it: what it says shows in the build
	}
	place := func(n int) int { return min(first+n-1, lastLine(run.Location())) }
	hooks.NeedsPerson(tree, at.quiet, func(n int, problem, fix string) {
		if !at.answered {
			f.fault(place(n), problem, fix)
		}
	}, func(n int, problem, fix string) { f.warn(place(n), problem, fix) })
	return at.answered || hooks.Settles(tree)
}

// script is what the shell of a RUN reads, and the line on which it begins: nothing where that is for another interpreter.
func (f *file) script(run *instructions.RunCommand) (script string, first int) {
	script, first = strings.Join(run.CmdLine, " "), lineIn(run.Location())
	if len(run.Files) > 0 && strings.HasPrefix(strings.TrimSpace(script), "<<") {
		script, first = run.Files[0].Data, first+1
		if interpreter, ok := strings.CutPrefix(script, "#!"); ok {
			words := strings.Fields(strings.SplitN(interpreter, "\n", 2)[0])
			if len(words) == 0 || !strings.HasSuffix(words[len(words)-1], "sh") {
				return "", first
			}
		}
		return script, first
	}
	for _, file := range run.Files { // it stands behind the command, as in a script
		script += "\n" + file.Data + file.Name + "\n"
	}
	return f.asWritten(run.Location(), script), first
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
