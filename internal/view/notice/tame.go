package notice

import (
	"errors"
	"fmt"
	"slices"
	"text/template/parse"
)

// tame refuses what can run or grow without end: loops over anything but a
// list of the announcement, or in more than two levels; calls of templates;
// functions that make texts longer than their parts. A node that it does not
// know it refuses.
func tame(n parse.Node, depth int) error {
	switch n := n.(type) {
	case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		return nil
	case *parse.ListNode:
		if n == nil {
			return nil // no else
		}
		for _, below := range n.Nodes {
			if err := tame(below, depth); err != nil {
				return err
			}
		}
		return nil
	case *parse.ActionNode:
		return tamePipe(n.Pipe)
	case *parse.IfNode:
		return errors.Join(tamePipe(n.Pipe), tame(n.List, depth), tame(n.ElseList, depth))
	case *parse.WithNode:
		return errors.Join(tamePipe(n.Pipe), tame(n.List, depth), tame(n.ElseList, depth))
	case *parse.RangeNode:
		if depth >= 2 || len(n.Pipe.Cmds) != 1 || len(n.Pipe.Cmds[0].Args) != 1 || !isList(n.Pipe.Cmds[0].Args[0]) {
			return fmt.Errorf("{{range %s}} is no loop over a list such as .Packages, or lies too deep", n.Pipe)
		}
		return errors.Join(tame(n.List, depth+1), tame(n.ElseList, depth))
	}
	return fmt.Errorf("%s is more than a template may say", n)
}

// tamePipe checks an expression.
func tamePipe(p *parse.PipeNode) error {
	if len(p.Cmds) != 1 {
		return fmt.Errorf("{{%s}} passes a value on: write it without |", p)
	}
	args := p.Cmds[0].Args
	for i, arg := range args {
		switch arg := arg.(type) {
		case *parse.PipeNode:
			if err := tamePipe(arg); err != nil {
				return err
			}
		case *parse.IdentifierNode:
			known := []string{"join", "len", "index", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not"}
			if i != 0 || !slices.Contains(known, arg.Ident) {
				return fmt.Errorf("{{%s}} calls %s, which a template may not: only %q", p, arg.Ident, known)
			}
			if arg.Ident == "join" && !isJoin(args) {
				return fmt.Errorf("{{%s}} is not of the form join .List \", \"", p)
			}
		case *parse.ChainNode:
			return fmt.Errorf("{{%s}} takes a field of an expression: it may not", p)
		}
	}
	return nil
}

// isJoin reports whether a call joins a list with a short text: joining with
// what was joined before would grow beyond measure.
func isJoin(args []parse.Node) bool {
	if len(args) != 3 || !isList(args[1]) {
		return false
	}
	text, ok := args[2].(*parse.StringNode)
	return ok && len(text.Text) <= 16
}

// isList reports whether a node is a field that is a list: .Tenants,
// $p.Tenants. Numbers, which Go would count up to, are fields called Devices.
func isList(n parse.Node) bool {
	var names []string
	switch n := n.(type) {
	case *parse.FieldNode:
		names = n.Ident
	case *parse.VariableNode:
		names = n.Ident[1:]
	}
	return len(names) > 0 && names[len(names)-1] != "Devices"
}
