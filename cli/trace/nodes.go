package trace

import (
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// listMost is how many nodes, and how many containers, a chain lists unless all are asked for.
const listMost = 20

// node is what a node last said.
func (r *Records) node(key string) *Node {
	fleet, name, _ := strings.Cut(key, ".")
	n := &Node{Fleet: fleet, Node: name}
	s, heard := r.Nodes[key]
	if !heard {
		return n
	}
	f := r.Fleets[fleet]
	n.Heard, n.Applied = true, s.Applied
	for _, p := range s.Images {
		n.Holds = append(n.Holds, p.Image)
	}
	if current := f.Current.Image; current != "" && !slices.Contains(n.Holds, current) {
		n.Lacks = "not fetched yet"
		for _, p := range s.Problems {
			if p.Image == current {
				n.Lacks = p.Reason
			}
		}
		if s.Engine.Error != "" {
			n.Lacks = s.Engine.Error
		}
	}
	for _, c := range s.Containers {
		if !runs(&f, &s, c.Image) {
			c.Node = name
			n.Old = append(n.Old, c)
		}
	}
	return n
}

// runs tells whether a container's image is the fleet's current one, in whichever form.
func runs(f *messages.FleetRecord, s *messages.NodeStatus, image string) bool {
	current := f.Current.Image
	return current == "" || f.Names(image, current) || image == current.Digest() ||
		slices.ContainsFunc(s.Images, func(p messages.PresentImage) bool { return p.Image == current && (image == p.Local || image == p.ID) })
}

// nodes is what a fleet's nodes have done with its current image. Those are listed that lack it, have not applied it
// or run containers of another; with all, every one.
func (r *Records) nodes(f *messages.FleetRecord, all bool) *Nodes {
	out := &Nodes{}
	for _, key := range r.members() {
		if fleet, _, _ := strings.Cut(key, "."); fleet != f.Fleet {
			continue
		}
		n := r.node(key)
		behind := !n.Heard || n.Lacks != "" || len(n.Old) > 0
		if n.Heard {
			out.Members++
			if n.Lacks == "" {
				out.Holding++
			}
		}
		if a := n.Applied; a != nil {
			if out.Applied == nil {
				out.Applied = map[string]int{}
			}
			state := string(a.State)
			if a.State == messages.ApplyDone && a.Image != f.Current.Image {
				state = string(messages.ApplyWaiting)
			}
			out.Applied[state]++
			behind = behind || !a.Has(f.Current.Image)
		}
		out.old(n, all)
		switch {
		case !behind && !all:
		case len(out.List) < listMost || all:
			out.List = append(out.List, *n)
		default:
			out.Unsaid++
		}
	}
	return out
}

func (o *Nodes) old(n *Node, all bool) {
	if len(n.Old) == 0 {
		return
	}
	o.OldOn++
	o.OldSum += len(n.Old)
	for _, c := range n.Old {
		if all || len(o.Old) < listMost {
			o.Old = append(o.Old, c)
		}
	}
}
