package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// answeredBy are variables and settings with which nothing of a script asks.
var answeredBy = []string{"Assume-Yes", "assume-yes \"true\"", "assumeyes=1", "assumeyes=True", "assumeyes=true", "NONINTERACTIVE_FRONTEND"}

// says tells whether one of them stands in a piece of a script, as a word or within one.
func says(tree syntax.Node) (found bool) {
	in := func(text string) bool {
		return slices.ContainsFunc(answeredBy, func(s string) bool { return strings.Contains(text, s) })
	}
	syntax.Walk(tree, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Lit:
			found = found || in(n.Value)
		case *syntax.SglQuoted:
			found = found || in(n.Value)
		}
		return !found
	})
	return found
}

// Settles tells whether a script may write settings with which later ones aren't asked: it names one outside the commands
// that would ask, for which it is an option.
func Settles(tree syntax.Node) (found bool) {
	syntax.Walk(tree, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			return !installs(n)
		case *syntax.Lit, *syntax.SglQuoted:
			found = found || says(n)
		}
		return !found
	})
	return found
}

// installs tells whether a command is one that asks where it isn't told not to.
func installs(c *syntax.CallExpr) bool {
	words := make([]string, len(c.Args))
	for i, w := range c.Args {
		words[i] = text(w)
	}
	if words, _ = unwrapped(words, false); len(words) == 0 {
		return false
	}
	a, ok := askingCommands[path.Base(words[0])]
	return ok && (a.verbs == nil || slices.ContainsFunc(words, func(w string) bool { return slices.Contains(a.verbs, w) }))
}

// yes is a setting of apt (apt.conf(5)), yum or dnf (dnf.conf(5)) with which they don't ask.
var yes = regexp.MustCompile(`(?mi)^([^#\n/]|/[^/\n])*(assume-yes[\s"]+|assumeyes[ \t]*=[ \t]*)(true|yes|on|1|with|enable)\b`)

// saysYes looks whether the image's package managers are set to go on without an answer.
func (i *image) saysYes() bool {
	files := []string{"etc/apt/apt.conf", "etc/yum.conf", "etc/dnf/dnf.conf"}
	if dir := i.follow("etc/apt/apt.conf.d", &i.user); dir.is != nil {
		parts, err := fs.ReadDir(i.files, dir.real)
		i.unread(dir.real, err)
		for _, e := range parts {
			files = append(files, path.Join(dir.real, e.Name()))
		}
	}
	return slices.ContainsFunc(files, func(name string) bool {
		at := i.follow(name, &i.user)
		if at.is == nil || !at.is.Mode().IsRegular() {
			return false
		}
		b, err := fs.ReadFile(i.files, at.real)
		i.unread(at.real, err)
		return yes.Match(b)
	})
}

// unread notes an error about reading the image, unless it is that nothing is there.
func (i *image) unread(name string, err error) {
	if err != nil && !nothingThere(err) && !errors.Is(err, errNotDir) && i.err == nil {
		i.err = fmt.Errorf("reading /%s of the image: %w", name, err)
	}
}
