package imagediff

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
)

const (
	// mostScript is the largest hook whose text is compared, in bytes; the hook gate takes none that is larger.
	mostScript = 128 << 10
	// mostLines and mostText bound the text that is told of a hook.
	mostLines = 200
	mostText  = 32 << 10
)

// compareHooks puts the hooks that differ into a Diff, and returns what is not known.
func (f *files) compareHooks(d *Diff) (unknown []string) {
	for _, name := range f.client.config.Hooks {
		from, to := path.Join(f.a.image.hooksDir, name), path.Join(f.b.image.hooksDir, name)
		a, why := f.a.at(from)
		b, whyToo := f.b.at(to)
		if why != "" || whyToo != "" {
			if why != "" {
				unknown = append(unknown, f.a.unknown("hook "+name, from, why))
			}
			if whyToo != "" {
				unknown = append(unknown, f.b.unknown("hook "+name, to, whyToo))
			}
			continue
		}
		if h, differs := compareHook(a, b); differs {
			h.Path = "/" + to
			if b == nil {
				h.Path = "/" + from
			}
			d.Hooks = append(d.Hooks, h)
		}
	}
	return unknown
}

// compareHook tells how a hook differs.
func compareHook(a, b *file) (h Hook, differs bool) {
	switch {
	case a == nil && b == nil:
		return h, false
	case a == nil:
		h.Change, a = "added", &file{mode: b.mode}
	case b == nil:
		h.Change, b = "removed", &file{mode: a.mode}
	default:
		h.Change = "changed"
	}
	if a.mode.Perm() != b.mode.Perm() {
		h.Mode = fmt.Sprintf("%04o to %04o", a.mode.Perm(), b.mode.Perm())
	}
	same := bytes.Equal(a.content, b.content)
	if h.Change == "changed" && same && h.Mode == "" {
		return h, false
	}
	if !same {
		h.Diff, h.More = unified(a.content, b.content)
	}
	return h, true
}

// unified is how texts differ, with three lines around each change, and how many lines of that are left out.
func unified(a, b []byte) (text string, more int) {
	switch {
	case max(len(a), len(b)) > mostScript:
		return fmt.Sprintf("of %d bytes, now %d: too large to be compared line by line", len(a), len(b)), 0
	case !isText(a) || !isText(b):
		return fmt.Sprintf("of %d bytes, now %d: no text", len(a), len(b)), 0
	}
	_, body, _ := strings.Cut(udiff.Unified("a", "b", string(a), string(b)), "+++ b\n")
	lines := strings.SplitAfter(body, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	size := 0
	for n, line := range lines {
		if size += len(line); n == mostLines || size > mostText {
			return strings.Join(lines[:n], ""), len(lines) - n
		}
	}
	return body, 0
}

func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }
