package hooks

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// exportList is the variable that names what a hook hands on to stackato ssh sessions, the
// container's crontab and PHP apps on the legacy buildpack.
const exportList = "STACKATO_HOOK_ENV"

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// declarations are the commands whose arguments set variables or mark them, as NAME=VALUE or
// NAME. Bash reads unquoted ones as assignments; all others are words.
var declarations = []string{"export", "readonly", "local", "declare", "typeset"}

// setting is a variable that a script sets or marks, with unknownWord for what is only known
// at run time.
type setting struct {
	name  string
	value string
	set   bool // else it is marked
	line  int
}

// exported checks that the hook sets what it says it exports.
func (h *hook) exported(tree *syntax.File) {
	set, open := assigned(tree)
	syntax.Walk(tree, func(n syntax.Node) bool {
		for _, s := range settings(n) {
			if s.name == exportList {
				h.listed(s, set, open)
			}
		}
		return true
	})
}

// listed checks one value of exportList. Names that are only known at run time are passed over.
func (h *hook) listed(s setting, set map[string]bool, open bool) {
	for _, name := range strings.Split(s.value, ",") {
		switch {
		case name == "" || strings.Contains(name, unknownWord):
		case !variableForm.MatchString(name):
			h.fault(s.line, fmt.Sprintf("%s lists %q, which is not the name of a variable", exportList, clip(name)), "list names with commas alone between them, as in "+exportList+"=A,B")
		case !set[name] && !open:
			h.fault(s.line, fmt.Sprintf("%s lists %s, which the hook never sets", exportList, clip(name)), fmt.Sprintf("set it (export %s=…) or take it off the list", clip(name)))
		}
	}
}

// settings returns what n itself, an assignment or a command, sets or marks.
func settings(n syntax.Node) []setting {
	switch n := n.(type) {
	case *syntax.Assign:
		if n.Name == nil {
			return declared(n.Value)
		}
		s := setting{name: n.Name.Value, set: !n.Naked, line: int(n.Pos().Line())}
		if n.Value != nil {
			s.value = text(n.Value)
		}
		return []setting{s}
	case *syntax.CallExpr:
		if words := builtin(n); len(words) > 0 && slices.Contains(declarations, text(words[0])) {
			return declared(words[1:]...)
		}
	}
	return nil
}

// declared returns what the words behind a declaration set or mark.
func declared(words ...*syntax.Word) []setting {
	var out []setting
	for _, w := range words {
		name, value, set := strings.Cut(text(w), "=")
		if !strings.HasPrefix(name, "-") {
			out = append(out, setting{strings.TrimSuffix(name, "+"), value, set, int(w.Pos().Line())})
		}
	}
	return out
}

// builtin returns the words of a command, past those that say where the shell has it from.
func builtin(c *syntax.CallExpr) []*syntax.Word {
	words := c.Args
	for len(words) > 0 && slices.Contains([]string{"builtin", "command"}, text(words[0])) {
		for words = words[1:]; len(words) > 0 && strings.HasPrefix(text(words[0]), "-"); words = words[1:] {
			if strings.ContainsAny(text(words[0]), "vV") {
				return nil // command -v only asks what the command is
			}
		}
	}
	return words
}

// text is what a word says, with unknownWord for what is only known at run time.
func text(w *syntax.Word) string { return literal(w.Parts) }

// literal is what a word's parts say, with unknownWord for what is only known at run time.
func literal(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, "\\", ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(literal(p.Parts))
		default:
			b.WriteString(unknownWord)
		}
	}
	return b.String()
}

// assigned returns the variables that a script sets anywhere. open tells that it may set
// others that nobody can see here: it sources a file, evaluates text, or makes up their names.
func assigned(tree *syntax.File) (set map[string]bool, open bool) {
	set = make(map[string]bool)
	syntax.Walk(tree, func(n syntax.Node) bool {
		for _, s := range settings(n) {
			open = open || strings.Contains(s.name, unknownWord)
			set[s.name] = set[s.name] || s.set
		}
		switch n := n.(type) {
		case *syntax.WordIter:
			set[n.Name.Value] = true
		case *syntax.ParamExp:
			if n.Param != nil && n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
				set[n.Param.Value] = true
			}
		case *syntax.BinaryArithm:
			if w, ok := n.X.(*syntax.Word); ok && strings.HasSuffix(n.Op.String(), "=") {
				set[w.Lit()] = true
			}
		case *syntax.CallExpr:
			open = commandSets(builtin(n), set) || open
		}
		return true
	})
	return set, open
}

// commandSets notes the variables that a command sets which its arguments name, and tells
// whether it could set any.
func commandSets(words []*syntax.Word, set map[string]bool) (open bool) {
	if len(words) == 0 {
		return false
	}
	switch command := text(words[0]); command {
	case ".", "source", "eval":
		return true
	case "read", "mapfile", "readarray", "getopts", "printf":
		for i, w := range words[1:] {
			name := text(w)
			if variableForm.MatchString(name) {
				set[name] = true
			}
			// What printf prints and read asks with are no names.
			named := command == "printf" && text(words[i]) == "-v" || command != "printf" && i+2 == len(words)
			open = open || named && strings.Contains(name, unknownWord)
		}
	}
	return open
}
