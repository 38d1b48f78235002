package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/syntax"
)

// errNotDir is what reading a folder gives that is a file.
var errNotDir error = syscall.ENOTDIR

// content checks what stands in a hook.
func (h *hook) content(b []byte) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		h.fault(1, "begins with a byte order mark, so that its first line is not understood", "save it as UTF-8 without a byte order mark")
		return
	case bytes.IndexByte(b, 0) >= 0:
		h.fault(0, "is not a text file", "a hook is a bash or sh script: call programs from it")
		return
	case len(bytes.TrimSpace(b)) == 0:
		h.warn(0, "is empty", "write the hook, or leave the file out")
		return
	}
	if i := carriageReturn(b); i >= 0 {
		h.fault(1+bytes.Count(b[:i], []byte("\n")), "has Windows line ends (CRLF), which the shell takes for part of commands", "save it with Unix line ends, as dos2unix does, and set \"*  text eol=lf\" in .gitattributes")
		return
	}
	variant, ok := h.language(b)
	if !ok {
		return
	}
	h.literals(b)
	tree, err := syntax.NewParser(syntax.Variant(variant)).Parse(shallow{bytes.NewReader(b)}, "")
	if err != nil {
		h.syntax(err)
		return
	}
	h.exported(tree)
	if h.sudoers != nil {
		h.sudo(tree)
	}
}

// carriageReturn returns where the first line ends that ends as on Windows, or -1. The last
// line may have no newline behind it.
func carriageReturn(b []byte) int {
	if i := bytes.Index(b, []byte("\r\n")); i >= 0 {
		return i
	}
	if bytes.HasSuffix(b, []byte("\r")) {
		return len(b) - 1
	}
	return -1
}

// maxFrames is how deep the parser's calls may go. It calls itself for each nesting, and a
// stack that grows without end would end the process.
const maxFrames = 5000

// errDeep is about a script that is nested deeper than any that is meant to run.
var errDeep = errors.New("it is nested too deeply")

// shallow is what the parser reads, some bytes at a time: it ends where the calls are too deep.
type shallow struct{ script io.Reader }

func (s shallow) Read(b []byte) (int, error) {
	var frame [1]uintptr
	if runtime.Callers(maxFrames, frame[:]) > 0 {
		return 0, errDeep
	}
	return s.script.Read(b)
}

// language returns what the script is written in, by its first line; without one it is
// bash.
func (h *hook) language(b []byte) (syntax.LangVariant, bool) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	shebang, ok := strings.CutPrefix(string(line), "#!")
	if !ok {
		return syntax.LangBash, h.anyShell()
	}
	const fix = "begin it with #!/bin/bash or #!/bin/sh"
	words := strings.Fields(shebang)
	if len(words) > 0 && path.Base(words[0]) == "env" {
		// The kernel hands everything behind env over as one word, which only -S takes apart.
		if len(words) > 2 && !strings.HasPrefix(words[1], "-S") && !strings.HasPrefix(words[1], "--split-string") {
			h.fault(1, fmt.Sprintf("has a first line that looks for a program named %q", clip(strings.Join(words[1:], " "))), fix)
			return 0, false
		}
		words = words[1:]
		for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
			words = words[1:]
		}
	} else if len(words) > 0 && !path.IsAbs(words[0]) {
		h.fault(1, fmt.Sprintf("names its interpreter as %q, which is not an absolute path", clip(words[0])), fix)
		return 0, false
	}
	if len(words) == 0 {
		h.fault(1, "has a first line that names no interpreter", fix)
		return 0, false
	}
	switch path.Base(words[0]) {
	case "bash":
		return syntax.LangBash, h.interpreter(words[0])
	case "sh":
		return syntax.LangPOSIX, h.interpreter(words[0])
	}
	h.fault(1, fmt.Sprintf("is a script for %q: admin hooks are bash or sh scripts", clip(words[0])), fix+", and call the other program from it")
	return 0, false
}

// fixShell mends an image that has not the shell of its hooks.
const fixShell = "build on a base with a shell, or install one before the hooks are added"

// interpreter tells whether the image has the shell that a hook names by its path.
func (h *hook) interpreter(shell string) bool {
	if !path.IsAbs(shell) || h.has(shell) {
		return true
	}
	h.fault(1, fmt.Sprintf("needs %s, which the image does not have", shell), fixShell)
	return false
}

// anyShell tells whether the image has a shell for a hook that names none.
func (h *hook) anyShell() bool {
	if h.has("/bin/bash") || h.has("/bin/sh") {
		return true
	}
	h.fault(0, "needs a shell, and the image has neither /bin/bash nor /bin/sh", fixShell)
	return false
}

// has tells whether the image has a file. Of a folder on this machine, which doesn't show what else
// the image will have, it says yes.
func (h *hook) has(file string) bool {
	if h.sudoers == nil {
		return true
	}
	_, err := fs.Stat(h.image, strings.TrimPrefix(path.Clean(file), "/"))
	return !errors.Is(err, fs.ErrNotExist)
}

// syntax is about a script that its shell would refuse.
func (h *hook) syntax(err error) {
	var parse syntax.ParseError
	var lang syntax.LangError
	switch {
	case errors.As(err, &lang):
		h.fault(int(lang.Pos.Line()), fmt.Sprintf("does not parse as sh: %s: bash only", clip(lang.Feature)), "begin it with #!/bin/bash, or write this for sh")
	case errors.Is(err, errDeep):
		h.fault(0, "does not parse: "+err.Error(), "write it with fewer commands and expressions inside each other")
	case errors.As(err, &parse):
		h.fault(int(parse.Pos.Line()), "does not parse: "+clip(parse.Text), remedy(parse))
	default:
		h.fault(0, "does not parse: "+clip(err.Error()), "check it with bash -n")
	}
}

// remedy says how to mend what the parser complains about.
func remedy(e syntax.ParseError) string {
	for _, end := range []string{"fi", "done", "esac", "then", "do"} {
		if strings.HasSuffix(e.Text, " with `"+end+"`") || strings.HasSuffix(e.Text, " by `"+end+"`") {
			return fmt.Sprintf("add the missing %s for what begins in this line", end)
		}
	}
	if strings.Contains(e.Text, "quote") {
		return "close the quote that opens in this line"
	}
	return "correct the line, and check the hook with bash -n"
}
