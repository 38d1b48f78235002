package form

import (
	"fmt"
	"text/template"
	"text/template/parse"
)

// numberMost bounds the numbers of a template: text/template goes over one as often as it says, and nothing can end that.
const numberMost = 10_000

// checkNumbers refuses a template that has a number which it could go over for ever.
func checkNumbers(t *template.Template) error {
	for _, one := range t.Templates() {
		if one.Tree == nil {
			continue
		}
		if n := largeNumber(one.Root); n != nil {
			place, _ := one.ErrorContext(n)
			return fmt.Errorf("%s: number %s: %d is the most that a template may have", place, n.Text, numberMost)
		}
	}
	return nil
}

// largeNumber is a number below a node that is too large, or nil.
func largeNumber(n parse.Node) *parse.NumberNode {
	switch n := n.(type) {
	case *parse.NumberNode:
		if n.IsInt && n.Int64 > numberMost || n.IsUint && n.Uint64 > numberMost {
			return n
		}
	case *parse.ListNode:
		if n != nil {
			return firstLarge(n.Nodes)
		}
	case *parse.PipeNode:
		if n != nil {
			return firstLarge(n.Cmds)
		}
	case *parse.CommandNode:
		return firstLarge(n.Args)
	case *parse.ChainNode:
		return largeNumber(n.Node)
	case *parse.ActionNode:
		return largeNumber(n.Pipe)
	case *parse.TemplateNode:
		return largeNumber(n.Pipe)
	case *parse.IfNode:
		return firstLarge([]parse.Node{n.Pipe, n.List, n.ElseList})
	case *parse.WithNode:
		return firstLarge([]parse.Node{n.Pipe, n.List, n.ElseList})
	case *parse.RangeNode:
		return firstLarge([]parse.Node{n.Pipe, n.List, n.ElseList})
	}
	return nil
}

func firstLarge[N parse.Node](all []N) *parse.NumberNode {
	for _, n := range all {
		if large := largeNumber(n); large != nil {
			return large
		}
	}
	return nil
}
