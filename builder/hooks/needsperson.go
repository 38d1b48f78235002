package hooks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// asking is a command that asks a person before it goes on, unless it is told not to.
type asking struct {
	verbs []string // the words behind it that ask; none: it always does
	quiet []string // options that answer it; of a single letter, also within a group such as -qy
	fix   string
}

var (
	aptVerbs = []string{"install", "reinstall", "remove", "purge", "upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade", "dselect-upgrade", "build-dep", "autoremove", "autopurge"}
	rpmVerbs = []string{"install", "reinstall", "remove", "erase", "update", "upgrade", "downgrade", "localinstall", "groupinstall", "autoremove", "swap", "distro-sync"}
	aptQuiet = []string{"-y", "--yes", "--assume-yes", "-qq", "-s", "--simulate", "--dry-run", "--print-uris", "--force-yes", "--assume-no"}
	rpmQuiet = []string{"-y", "--assumeyes", "--assumeno"}
)

// harmlessVerbs ask nothing, whatever stands behind them: `dnf search update`, `dnf group list`.
var harmlessVerbs = []string{"list", "search", "info", "show", "showpkg", "policy", "download", "source", "changelog", "provides", "whatprovides", "repoquery", "repolist", "deplist", "check", "check-update", "clean", "makecache"}

// askingCommands are those that build steps and hooks are most often seen to have.
var askingCommands = map[string]asking{
	"apt-get":            {aptVerbs, aptQuiet, "-y"},
	"apt":                {aptVerbs, aptQuiet, "-y"},
	"aptitude":           {aptVerbs, aptQuiet, "-y"},
	"yum":                {rpmVerbs, rpmQuiet, "-y"},
	"dnf":                {rpmVerbs, rpmQuiet, "-y"},
	"microdnf":           {rpmVerbs, rpmQuiet, "-y"},
	"tdnf":               {rpmVerbs, rpmQuiet, "-y"},
	"zypper":             {[]string{"install", "in", "remove", "rm", "update", "up", "dist-upgrade", "dup", "patch"}, []string{"-n", "--non-interactive", "-y", "--no-confirm"}, "--non-interactive before the verb"},
	"pacman":             {[]string{"-S", "-Sy", "-Syu", "-Su", "-U", "-R", "-Rs", "-Rns"}, []string{"--noconfirm"}, "--noconfirm"},
	"add-apt-repository": {nil, []string{"-y", "--yes", "-h", "--help"}, "-y"},
	"apt-add-repository": {nil, []string{"-y", "--yes", "-h", "--help"}, "-y"},
	"dpkg-reconfigure":   {nil, []string{"-f", "--frontend", "-u", "--unseen-only"}, "-f noninteractive"},
	"conda":              {[]string{"install", "create", "update", "upgrade", "remove", "uninstall"}, []string{"-y", "--yes"}, "-y"},
	"pip":                {[]string{"uninstall"}, []string{"-y", "--yes"}, "-y"},
	"pip3":               {[]string{"uninstall"}, []string{"-y", "--yes"}, "-y"},
}

// NeedsPerson reports the commands of a script that wait for an answer, which nobody gives in a build or a hook:
// they end with an error or hang. quiet: DEBIAN_FRONTEND is in its environment. report is for those that are sure to ask, warn for those that may have another input.
func NeedsPerson(tree syntax.Node, quiet bool, report, warn func(line int, problem, fix string)) {
	fed := map[syntax.Node]bool{}    // statements whose input is not the terminal's
	called := map[syntax.Node]bool{} // those of functions, whose input may be another where they are called
	syntax.Walk(tree, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.BinaryCmd:
			if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
				feed(n.Y, fed)
			}
		case *syntax.Stmt:
			if slices.ContainsFunc(n.Redirs, gives) {
				feed(n, fed)
			}
		case *syntax.FuncDecl:
			feed(n.Body, called)
		}
		return true
	})
	if says(tree) {
		return
	}
	syntax.Walk(tree, func(n syntax.Node) bool {
		s, ok := n.(*syntax.Stmt)
		if !ok {
			return true
		}
		c, ok := s.Cmd.(*syntax.CallExpr)
		if !ok {
			return true
		}
		words := make([]string, len(c.Args))
		for i, w := range c.Args {
			words[i] = text(w)
		}
		quiet := quiet || slices.ContainsFunc(c.Assigns, func(a *syntax.Assign) bool { return a.Name != nil && a.Name.Value == "DEBIAN_FRONTEND" })
		if problem, fix := Asks(words, quiet); problem != "" && !fed[s] {
			report(int(c.Pos().Line()), problem, fix)
		}
		if len(words) > 0 && words[0] == "read" && !fed[s] && !called[s] && !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, "-t") || strings.HasPrefix(w, "-u") }) {
			warn(int(c.Pos().Line()), "reads from a terminal, which there is none of", "give read its input by a file, a pipe or <<<, or take the value from a variable")
		}
		return true
	})
}

// gives tells whether a redirection is an input with something in it.
func gives(r *syntax.Redirect) bool {
	return slices.Contains([]syntax.RedirOperator{syntax.RdrIn, syntax.RdrInOut, syntax.DplIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc}, r.Op) &&
		(r.Word == nil || text(r.Word) != "/dev/null")
}

// feed marks all statements within one.
func feed(s *syntax.Stmt, fed map[syntax.Node]bool) {
	syntax.Walk(s, func(n syntax.Node) bool {
		if s, ok := n.(*syntax.Stmt); ok {
			fed[s] = true
		}
		return true
	})
}

// Asks tells what a command would wait for a person with, and what keeps it from that; "" where it doesn't.
// quiet: the command has DEBIAN_FRONTEND in its environment.
func Asks(words []string, quiet bool) (problem, fix string) {
	words, quiet = unwrapped(words, quiet)
	if len(words) == 0 {
		return "", ""
	}
	name := path.Base(words[0])
	a, ok := askingCommands[name]
	args := words[1:]
	if !ok || quiet && name == "dpkg-reconfigure" || slices.ContainsFunc(args, a.answers) {
		return "", ""
	}
	verb := ""
	if a.verbs != nil {
		i := slices.IndexFunc(args, func(w string) bool { return slices.Contains(a.verbs, w) || slices.Contains(harmlessVerbs, w) })
		if i < 0 || slices.Contains(harmlessVerbs, args[i]) {
			return "", ""
		}
		verb = " " + args[i]
	}
	return fmt.Sprintf("runs %s%s, which asks before it goes on, and nobody is there to answer", name, verb), fmt.Sprintf("give %s the option %s", name, a.fix)
}

// answers tells whether an argument keeps the command from asking. One that is only known at run time may.
func (a asking) answers(arg string) bool {
	if slices.Contains(a.quiet, arg) || strings.Contains(arg, unknownWord) || strings.HasPrefix(arg, "-q=") {
		return true
	}
	for _, q := range a.quiet {
		switch {
		case strings.HasPrefix(q, "--") && strings.HasPrefix(arg, q+"="):
			return true
		case len(q) == 2 && len(arg) > 2 && arg[0] == '-' && !strings.ContainsAny(arg[1:2], "-otca") && !slices.Contains(a.verbs, arg) && strings.Contains(arg[1:], q[1:]):
			return true // -qy, or -fnoninteractive
		}
	}
	return false
}

// unwrapped leaves out the words that only run another command, and says whether DEBIAN_FRONTEND is set for it.
func unwrapped(words []string, quiet bool) ([]string, bool) {
	for len(words) > 0 && slices.Contains([]string{"sudo", "env", "exec", "command", "nice", "time", "nohup", "eatmydata"}, path.Base(words[0])) {
		for words = words[1:]; len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")); words = words[1:] {
			quiet = quiet || strings.HasPrefix(words[0], "DEBIAN_FRONTEND=")
		}
	}
	return words, quiet
}
