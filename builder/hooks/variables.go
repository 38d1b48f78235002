package hooks

import (
	"fmt"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// exportList is the variable that names what a hook hands on to stackato ssh sessions, the
// container's crontab and PHP apps on the legacy buildpack.
const exportList = "STACKATO_HOOK_ENV"

var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// exported checks that the hook sets what it says it exports.
func (h *hook) exported(tree *syntax.File) {
	set, open := assigned(tree)
	syntax.Walk(tree, func(n syntax.Node) bool {
		a, ok := n.(*syntax.Assign)
		if !ok || a.Name == nil || a.Name.Value != exportList || a.Value == nil {
			return true
		}
		line := int(a.Pos().Line())
		for _, name := range listed(a.Value) {
			switch {
			case !variableForm.MatchString(name):
				h.fault(line, fmt.Sprintf("%s lists %q, which is not the name of a variable", exportList, clip(name)), "list names with commas alone between them, as in "+exportList+"=A,B")
			case !set[name] && !open:
				h.fault(line, fmt.Sprintf("%s lists %s, which the hook never sets", exportList, clip(name)), fmt.Sprintf("set it (export %s=…) or take it off the list", clip(name)))
			}
		}
		return true
	})
}

// listed returns the names in the value of exportList, without those that are only known
// when the hook runs.
func listed(w *syntax.Word) []string {
	const unknown = "\x00"
	text := literal(w.Parts, unknown)
	var names []string
	for _, name := range strings.Split(text, ",") {
		if name != "" && !strings.Contains(name, unknown) {
			names = append(names, name)
		}
	}
	return names
}

// literal is what a word's parts say, with unknown for what is only known at run time.
func literal(parts []syntax.WordPart, unknown string) string {
	var b strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, "\\", ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(literal(p.Parts, unknown))
		default:
			b.WriteString(unknown)
		}
	}
	return b.String()
}

// assigned returns the variables that a script sets anywhere. open tells that it may set
// others that nobody can see here: it sources a file or evaluates text.
func assigned(tree *syntax.File) (set map[string]bool, open bool) {
	set = make(map[string]bool)
	syntax.Walk(tree, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil && !n.Naked {
				set[n.Name.Value] = true
			}
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
			open = commandSets(n, set) || open
		}
		return true
	})
	return set, open
}

// commandSets notes the variables that a command sets by its arguments, and tells whether it
// could set any.
func commandSets(c *syntax.CallExpr, set map[string]bool) (open bool) {
	if len(c.Args) == 0 {
		return false
	}
	switch c.Args[0].Lit() {
	case ".", "source", "eval":
		return true
	case "read", "mapfile", "readarray", "getopts", "printf":
		for _, w := range c.Args[1:] {
			if name := w.Lit(); variableForm.MatchString(name) {
				set[name] = true
			}
		}
	}
	return false
}
