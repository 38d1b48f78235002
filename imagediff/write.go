package imagediff

import (
	"fmt"
	"strings"

	"github.com/fenceline/fenceline/imagediff/packagedb"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// Write writes a Diff for people.
func (d *Diff) Write(p *terminal.Page) {
	p.Line("from %s", d.From.line())
	p.Line("to   %s", d.To.line())
	if !d.Differs {
		p.Line("they are the same image")
		return
	}
	d.writePackages(p)
	d.writeHooks(p)
	if len(d.Settings) == 0 {
		p.Line("settings: the same")
	} else {
		p.Line("settings:")
		for i := range d.Settings {
			p.Line("  %s", d.Settings[i].Text())
		}
	}
	d.writeLayers(p)
	for _, u := range d.Unknown {
		p.Line("unknown: %s", u)
	}
}

func (i *Image) line() string {
	return fmt.Sprintf("%s (%s, %s, %s)", i.Image, i.Platform, counted(i.Layers, "layer"), messages.Size(i.Bytes))
}

func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Differ tells whether any is known to differ.
func (p *Packages) Differ() bool { return len(p.Changed)+len(p.Added)+len(p.Removed)+p.Unlisted > 0 }

// Summary says in a line how packages differ.
func (p *Packages) Summary() string {
	var parts []string
	for _, c := range []struct {
		n   int
		say string
	}{{len(p.Changed), "changed"}, {len(p.Added), "added"}, {len(p.Removed), "removed"}, {p.Unlisted, "more that differ"}, {p.Unchanged, "unchanged"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.say))
		}
	}
	if len(parts) == 0 {
		return "the same"
	}
	return strings.Join(parts, ", ")
}

// notKnown is what is said in place of how something differs, or beside it.
const notKnown = "not known"

// PackagesSay says in a line how packages differ, as far as that is known.
func (d *Diff) PackagesSay() string {
	switch says := d.Packages.Summary(); {
	case !d.PackagesUnknown:
		return says
	case d.Packages.Differ() || d.Packages.Unchanged > 0:
		return says + ", others " + notKnown
	}
	return notKnown
}

// HooksSay says of hooks that none is listed, or that there may be others; "" where those that are listed are all.
func (d *Diff) HooksSay() string {
	switch {
	case !d.HooksUnknown && len(d.Hooks) == 0:
		return "the same"
	case !d.HooksUnknown:
		return ""
	case len(d.Hooks) > 0:
		return "others " + notKnown
	}
	return notKnown
}

func (d *Diff) writePackages(p *terminal.Page) {
	p.Line("packages: %s", d.PackagesSay())
	for _, c := range d.Packages.Changed {
		p.Line("  ~ %s %s", c.Name, c.Versions())
	}
	for _, a := range d.Packages.Added {
		p.Line("  + %s %s", a.Name, a.VersionOf(nil))
	}
	for _, r := range d.Packages.Removed {
		p.Line("  - %s %s", r.Name, r.VersionOf(nil))
	}
}

// Versions are both versions, with the architectures where those differ.
func (c *Change) Versions() string {
	list := func(all, other []packagedb.Package) string {
		var out []string
		for _, p := range all {
			of := Package{c.Manager, p}
			out = append(out, of.VersionOf(other))
		}
		return strings.Join(out, ", ")
	}
	return list(c.From, c.To) + " -> " + list(c.To, c.From)
}

// VersionOf is a package's version, with its architecture where it is not that of all others.
func (p *Package) VersionOf(others []packagedb.Package) string {
	same := others != nil
	for _, o := range others {
		same = same && o.Arch == p.Arch
	}
	if same || p.Arch == "" {
		return p.Version
	}
	return p.Version + " (" + p.Arch + ")"
}

func (d *Diff) writeHooks(p *terminal.Page) {
	p.Line("%s", strings.TrimSpace("hooks: "+d.HooksSay()))
	for _, h := range d.Hooks {
		mode := ""
		if h.Mode != "" {
			mode = ", mode " + h.Mode
		}
		p.Line("  %s %s%s", h.Path, h.Change, mode)
		p.Text("    ", h.Diff)
		if h.More > 0 {
			p.Line("    %d more lines", h.More)
		}
	}
}

// SharedLayers counts the layers that both images have, and their bytes.
func (d *Diff) SharedLayers() (n int, bytes int64) {
	for _, l := range d.Layers {
		if l.Of == OfBoth {
			n, bytes = n+1, bytes+l.Bytes
		}
	}
	return n, bytes
}

func (d *Diff) writeLayers(p *terminal.Page) {
	n, bytes := d.SharedLayers()
	p.Line("layers: %d in both (%s)", n, messages.Size(bytes))
	for _, l := range d.Layers {
		if sign := map[string]string{OfFrom: "-", OfTo: "+"}[l.Of]; sign != "" {
			p.Line("  %s %s  %s", sign, messages.Size(l.Bytes), l.By)
		}
	}
}
