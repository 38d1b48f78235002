package hooks

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// bashWords are commands that bash has and sh does not, with what sh has in their place.
var bashWords = map[string]string{
	"[[": "[ … ], with = and case for patterns", "source": "a dot: . FILE", "let": "n=$((n + 1))", "declare": "a plain assignment", "typeset": "a plain assignment",
	"shopt": "", "pushd": "cd in a subshell: (cd DIR && …)", "popd": "cd in a subshell: (cd DIR && …)", "dirs": "", "mapfile": "while read -r line", "readarray": "while read -r line",
	"builtin": "command", "function": "NAME() { …; }", "coproc": "", "enable": "", "caller": "", "disown": "", "compgen": "", "complete": "",
}

// declarationOptions are what sh takes behind the commands that declare.
var declarationOptions = map[string][]string{"export": {"-p"}, "readonly": {"-p"}}

// bashOnly reports what a script for sh has that sh does not know, wherever sh is not bash. guarded: the script
// asks which shell runs it.
func (h *hook) bashOnly(tree *syntax.File, is shell, guarded bool) {
	report := h.fault
	if guarded {
		report = h.warn
	}
	asked, bash := false, false
	syntax.Walk(tree, func(n syntax.Node) bool {
		what, instead := bashNode(n)
		if what == "" {
			return true
		}
		if !asked && h.built != nil {
			asked, bash = true, h.built.isBash(is.path)
		}
		if bash {
			report = h.warn
		}
		report(int(n.Pos().Line()), fmt.Sprintf("uses %s, which is for bash only and not for sh", what), h.forSh(instead))
		return true
	})
}

// forSh says how to do without bash, and how with it.
func (h *hook) forSh(instead string) string {
	fix := "write this for sh"
	if instead != "" {
		fix += ", with " + instead
	}
	if h.built == nil {
		return "begin it with #!/bin/bash, or " + fix
	}
	if bash := h.built.program("bash", defaultPath, &h.built.user); bash != "" {
		return "begin it with #!" + bash + ", or " + fix
	}
	return fix + ", or install bash and begin it with #!/bin/bash"
}

// bashNode says what in a node itself is for bash alone, and what sh has in its place; "" where nothing is.
func bashNode(n syntax.Node) (what, instead string) {
	switch n := n.(type) {
	case *syntax.TestClause:
		return "[[ … ]]", bashWords["[["]
	case *syntax.ArithmCmd:
		return "(( … ))", "[ $((…)) -ne 0 ]"
	case *syntax.LetClause:
		return "let", bashWords["let"]
	case *syntax.FuncDecl:
		if n.RsrvWord {
			return "function", bashWords["function"]
		}
	case *syntax.CoprocClause:
		return "coproc", ""
	case *syntax.ArrayExpr:
		return "an array", "words in a variable or \"$@\""
	case *syntax.ExtGlob:
		return "a pattern such as " + n.Op.String() + "…)", "several patterns"
	case *syntax.ProcSubst:
		return n.Op.String() + "…)", "a pipe or a file"
	case *syntax.CStyleLoop:
		return "for (( … ))", "while [ … ]"
	case *syntax.ForClause:
		if n.Select {
			return "select", ""
		}
	case *syntax.CaseItem:
		if n.Op != syntax.Break {
			return n.Op.String(), "the commands written out"
		}
	case *syntax.BinaryCmd:
		if n.Op == syntax.PipeAll {
			return "|&", "2>&1 |"
		}
	case *syntax.SglQuoted:
		if n.Dollar {
			return "$'…'", "printf"
		}
	case *syntax.DblQuoted:
		if n.Dollar {
			return `$"…"`, "plain quotes"
		}
	case *syntax.Redirect:
		return bashRedirect(n)
	case *syntax.ParamExp:
		return bashParameter(n)
	case *syntax.BinaryArithm:
		if n.Op == syntax.Pow || n.Op == syntax.Comma {
			return n.Op.String() + " in $((…))", ""
		}
	case *syntax.UnaryArithm:
		if n.Op == syntax.Inc || n.Op == syntax.Dec {
			return n.Op.String() + " in $((…))", bashWords["let"]
		}
	case *syntax.Assign:
		if n.Append {
			return "+=", "NAME=$NAME…"
		}
		if n.Index != nil {
			return "an array", "words in a variable or \"$@\""
		}
	case *syntax.DeclClause:
		return bashDeclaration(n)
	case *syntax.WordIter:
		return bashBraces(n.Items)
	case *syntax.CallExpr:
		if what, instead = bashBraces(n.Args); what != "" {
			return what, instead
		}
		return bashCall(n)
	}
	return "", ""
}

// bashBraces is about braces that bash makes several words of.
func bashBraces(words []*syntax.Word) (what, instead string) {
	for _, w := range words {
		split := &syntax.Word{Parts: slices.Clone(w.Parts)}
		syntax.SplitBraces(split)
		for _, p := range split.Parts {
			if b, ok := p.(*syntax.BraceExp); ok && len(b.Elems) > 1 {
				return "{…} in place of several words", "the words written out, or seq"
			}
		}
	}
	return "", ""
}

func bashRedirect(r *syntax.Redirect) (what, instead string) {
	switch r.Op {
	case syntax.RdrAll, syntax.AppAll:
		return r.Op.String(), ">FILE 2>&1"
	case syntax.WordHdoc:
		return "<<<", "a here-document or printf … |"
	case syntax.DplOut:
		if r.N == nil && r.Word != nil {
			if to := text(r.Word); strings.Trim(to, "0123456789-") != "" && !strings.Contains(to, unknownWord) {
				return ">&" + clip(to), ">FILE 2>&1"
			}
		}
	}
	if r.N != nil && strings.HasPrefix(r.N.Value, "{") {
		return r.N.Value + " before a redirection", "a number"
	}
	return "", ""
}

func bashParameter(p *syntax.ParamExp) (what, instead string) {
	switch {
	case p.Excl:
		return "${!…}", "eval"
	case p.Index != nil:
		return "an array", "words in a variable or \"$@\""
	case p.Slice != nil:
		return "${…:N:M}", "cut"
	case p.Repl != nil:
		return "${…/…/…}", "sed"
	case p.Exp != nil && slices.Contains([]syntax.ParExpOperator{syntax.UpperFirst, syntax.UpperAll, syntax.LowerFirst, syntax.LowerAll}, p.Exp.Op):
		return "${…" + p.Exp.Op.String() + "}", "tr"
	case p.Exp != nil && p.Exp.Op == syntax.OtherParamOps:
		return "${…@…}", ""
	}
	return "", ""
}

// bashDeclaration is about declare, local, export and the like: sh has some of them, without options.
func bashDeclaration(d *syntax.DeclClause) (what, instead string) {
	name := d.Variant.Value
	if to, ok := bashWords[name]; ok {
		return name, to
	}
	if name == "nameref" {
		return name, ""
	}
	for _, a := range d.Args {
		if a.Naked && a.Value != nil {
			if o := text(a.Value); strings.HasPrefix(o, "-") && len(o) > 1 && !slices.Contains(declarationOptions[name], o) {
				return name + " " + clip(o), name + " alone"
			}
		}
	}
	return "", ""
}

// bashCall is about commands that sh doesn't have, and about what bash's take besides.
func bashCall(c *syntax.CallExpr) (what, instead string) {
	if len(c.Args) == 0 {
		return "", ""
	}
	words := make([]string, len(c.Args))
	for i, w := range c.Args {
		words[i] = text(w)
	}
	if to, ok := bashWords[words[0]]; ok {
		return words[0], to
	}
	args := words[1:]
	option := func(letters string) string {
		for _, a := range args {
			if !strings.HasPrefix(a, "-") {
				break
			}
			if strings.ContainsAny(a, letters) {
				return words[0] + " " + clip(a)
			}
		}
		return ""
	}
	switch words[0] {
	case "set":
		if slices.Contains(args, "pipefail") {
			return "set -o pipefail", "a check of each step"
		}
	case "[", "test":
		for _, o := range []string{"==", "=~"} {
			if i := slices.Index(args, o); i > 0 {
				return o + " in " + words[0], "="
			}
		}
	case "read":
		return option("adeinNstu"), "read -r"
	case "printf":
		return option("v"), "NAME=$(printf …)"
	case "exec":
		return option("acl"), ""
	case "trap":
		for _, s := range []string{"ERR", "DEBUG", "RETURN"} {
			if slices.Contains(args, s) {
				return "trap … " + s, "trap … EXIT"
			}
		}
	}
	return "", ""
}
