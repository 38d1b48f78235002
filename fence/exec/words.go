package exec

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"mvdan.cc/sh/v3/shell"
	"mvdan.cc/sh/v3/syntax"
)

// fleetWord stands for the fleet's name in a command line.
const fleetWord = "{fleet}"

// split makes words of a command line, with a shell's quotes and without a shell: whatever only a shell does
// is refused.
func split(line string) ([]string, error) {
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	if err != nil {
		return nil, fmt.Errorf("%q can't be read as a command: %w", line, err)
	}
	call, simple := (*syntax.CallExpr)(nil), false
	if len(file.Stmts) == 1 {
		s := file.Stmts[0]
		call, simple = s.Cmd.(*syntax.CallExpr)
		simple = simple && len(s.Redirs) == 0 && len(call.Assigns) == 0 && !s.Background && !s.Negated && !s.Coprocess
	}
	switch {
	case strings.TrimSpace(line) == "":
		return nil, errors.New("it is empty: give a program and its arguments")
	case !simple || expands(call):
		return nil, fmt.Errorf("%q takes a shell, and none reads it: name a program and its arguments, a script of yours, or sh -c '…'", line)
	}
	words, err := shell.Fields(line, func(string) string { return "" })
	if err != nil {
		return nil, fmt.Errorf("%q can't be read as a command: %w", line, err)
	}
	if strings.Contains(words[0], "/") { // it runs in another folder
		if words[0], err = filepath.Abs(words[0]); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
	}
	return words, nil
}

// expands tells whether a word of a command has what a shell puts something else in place of.
func expands(call *syntax.CallExpr) bool {
	found := false
	for _, w := range call.Args {
		syntax.Walk(w, func(n syntax.Node) bool {
			switch n.(type) {
			case nil, *syntax.Word, *syntax.Lit, *syntax.SglQuoted, *syntax.DblQuoted:
			default:
				found = true
			}
			return !found
		})
	}
	return found
}

// named puts the fleet's name where {fleet} stands.
func named(words []string, fleet string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ReplaceAll(w, fleetWord, fleet)
	}
	return out
}

// namesFleet tells whether {fleet} stands in a command.
func namesFleet(words []string) bool {
	return strings.Contains(strings.Join(words, "\x00"), fleetWord)
}
