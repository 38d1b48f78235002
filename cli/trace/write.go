package trace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// Write writes a chain for people.
func (c *Chain) Write(p *terminal.Page) {
	p.Line("%s %s", c.Kind, c.Value)
	if c.Node != nil {
		c.Node.write(p, "  ")
	}
	for i := range c.Builds {
		c.Builds[i].write(p)
	}
	if c.More > 0 {
		p.Line("%d older builds: give --all", c.More)
	}
	for _, g := range c.Gone {
		p.Line("gone: %s", g)
	}
	for _, b := range c.Broken {
		p.Line("unreadable: %s", b)
	}
}

// said writes a line where there is something to say.
func said(p *terminal.Page, begin, text string) {
	if text != "" {
		p.Line("%s %s", begin, text)
	}
}

func at(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// in puts a word before a text, where there is one.
func in(word, text string) string {
	if text == "" {
		return ""
	}
	return " " + word + " " + text
}

func (b *Build) write(p *terminal.Page) {
	p.Line("build %s: %s%s%s", b.Build, b.State, in("of", b.Pipeline), in("at", at(b.Ended)))
	said(p, "  commit  ", strings.TrimSpace(b.Commit+in("on", messages.ShownRef(b.Ref))))
	said(p, "  by      ", strings.TrimSpace(b.By+in("received", at(b.Received))))
	if b.Reason != nil {
		said(p, "  why     ", strings.TrimSpace(b.Reason.String()+in("matched", b.Matched)))
	}
	for _, base := range b.Bases {
		p.Line("  base     %s is %s", base.Source, base.Image.Digest())
	}
	if b.Worker != "" {
		p.Line("  builder  %s, attempt %d", b.Worker, b.Attempts)
	}
	said(p, "  trace   ", b.Trace)
	said(p, "  error   ", b.LastError)
	said(p, "  skipped ", b.Unchanged)
	said(p, "  head    ", strings.TrimSpace(b.Head+in("which is build", b.Follows)))
	if f := b.Failure; f != nil {
		p.Line("  failed   %s: %s%s", f.Class, f.Reason, in("at", f.Place))
		said(p, "  fix     ", f.Fix)
		findings(p, f.Findings)
	}
	findings(p, b.Warnings)
	if b.Image != "" {
		p.Line("  image    %s", b.Image)
		p.Line("  size     %s%s", messages.Size(b.Bytes), b.Since.size())
		b.Since.write(p, b.Build)
	}
	for i := range b.Rollouts {
		b.Rollouts[i].write(p)
	}
}

func findings(p *terminal.Page, all []messages.Finding) {
	for _, f := range all {
		kind := "finding"
		if f.Warning {
			kind = "warning"
		}
		p.Line("  %s  %s", kind, f.String())
	}
}

// size is how the size has changed.
func (c *Change) size() string {
	switch {
	case c == nil:
		return "; no earlier image of its branch is known"
	case c.Bytes > 0:
		return fmt.Sprintf(", %s more than build %s", messages.Size(c.Bytes), c.Build)
	case c.Bytes < 0:
		return fmt.Sprintf(", %s less than build %s", messages.Size(-c.Bytes), c.Build)
	}
	return ", as build " + c.Build
}

func (c *Change) write(p *terminal.Page, build string) {
	if c == nil {
		return
	}
	p.Line("  changed  what differs from the image before: fenceline diff %s", build)
	for _, b := range c.Bases {
		p.Line("  changed  base %s: %s, was %s", b.Source, cmp.Or(b.To.Digest(), "none"), cmp.Or(b.From.Digest(), "none"))
	}
}

func (r *Rollout) write(p *terminal.Page) {
	p.Line("  rollout  %s in fleet %s: %s, %d of %d members have had it present", r.ID, r.Fleet, r.State, r.Present, r.Members)
	said(p, "    why     ", r.Why)
	p.Line("    opened   %s%s", at(r.Opened), in("flipped", at(r.Flipped)))
	said(p, "    approved", strings.TrimSpace(in("by", because(r.Approved, r.Because))))
	said(p, "    aborted ", strings.TrimSpace(in("by", because(r.Aborted, r.Stopped))))
	for _, node := range slices.Sorted(maps.Keys(r.Trials)) {
		verdict := "passed"
		if t := r.Trials[node]; !t.Passed {
			verdict = "failed: " + t.Reason
		}
		p.Line("    trial    on %s %s", node, verdict)
	}
	for _, node := range slices.Sorted(maps.Keys(r.Failed)) {
		p.Line("    failed   on %s: %s", node, r.Failed[node])
	}
	if r.Earlier > 0 {
		p.Line("    told     %d times before these: give --all", r.Earlier)
	}
	for _, t := range r.Receipts {
		p.Line("    told     %s %s%s%s", at(t.At), t.What, in("on", t.Node), in("-", t.Why))
	}
	for _, d := range r.Current {
		epoch := ""
		if d.Epoch > 0 {
			epoch = fmt.Sprint(d.Epoch)
		}
		p.Line("    current  from %s%s, fence revision %s%s%s", at(d.At), in("by epoch", epoch), d.Revision, in("by", d.By), in("-", d.Reason))
	}
	if r.Nodes != nil {
		r.Nodes.write(p)
	}
}

func (n *Nodes) write(p *terminal.Page) {
	p.Line("    now      current; %d of %d nodes that are heard hold it", n.Holding, n.Members)
	for _, state := range slices.Sorted(maps.Keys(n.Applied)) {
		p.Line("    applied  %d %s", n.Applied[state], state)
	}
	if n.OldSum > 0 {
		p.Line("    old      another image is run by %s on %s", counted(n.OldSum, "container"), counted(n.OldOn, "node"))
	}
	for i := range n.List {
		p.Line("    node     %s%s", n.List[i].Node, n.List[i].brief())
		containers(p, "      ", n.List[i].Old)
	}
	if n.Unsaid > 0 {
		p.Line("    node     %d more that are behind: give --all", n.Unsaid)
	}
}

// brief says in a line what a node lacks.
func (n *Node) brief() string {
	if !n.Heard {
		return ": not heard"
	}
	text := ""
	if n.Lacks != "" {
		text = ": lacks it: " + n.Lacks
	}
	if a := n.Applied; a != nil {
		text += ": applied: " + string(a.State) + in("of", a.Image.Digest()) + in("at", at(a.At)) + in("-", a.Error)
	}
	return text
}

func (n *Node) write(p *terminal.Page, indent string) {
	p.Line("%snode %s of fleet %s%s", indent, n.Node, n.Fleet, n.brief())
	for _, i := range n.Holds {
		p.Line("%sholds %s", indent, i)
	}
	containers(p, indent, n.Old)
}

// containers lists what runs another image, as many as are read.
func containers(p *terminal.Page, indent string, all []Old) {
	for _, c := range all[:min(len(all), listMost)] {
		p.Line("%sold container %s runs %s", indent, c.Container, c.Image)
	}
	if n := len(all) - listMost; n > 0 {
		p.Line("%s%d more old containers: -o json has them", indent, n)
	}
}

// because is who decided, and why where they said so.
func because(by, why string) string {
	if by == "" || why == "" {
		return by
	}
	return by + ": " + why
}
