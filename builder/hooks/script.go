package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
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
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		h.fault(1, "is saved as UTF-16, which no shell reads", "save it as UTF-8 without a byte order mark")
		return
	case len(bytes.TrimSpace(b)) == 0:
		h.warn(0, "is empty", "write the hook, or leave the file out")
		return
	}
	h.literals(b)
	b = readByShell(b)
	if bytes.IndexByte(b, 0) >= 0 {
		h.fault(0, "is not a text file", "a hook is a bash or sh script: call programs from it")
		return
	}
	if i := carriageReturn(b); i >= 0 {
		h.fault(1+bytes.Count(b[:i], []byte("\n")), "has Windows line ends (CRLF), which the shell takes for part of commands", "save it with Unix line ends, as dos2unix does, and set \"*  text eol=lf\" in .gitattributes")
		return
	}
	shell, ok := h.language(b)
	if !ok {
		return
	}
	tree, err := shell.parse(b)
	if err != nil {
		h.syntax(err)
		return
	}
	if shell.posix {
		h.bashOnly(tree, shell, bytes.Contains(b, []byte("BASH_VERSION")))
	}
	h.exported(tree)
	NeedsPerson(tree, false, func(line int, problem, fix string) {
		if h.built == nil || !h.built.answered() {
			h.fault(line, problem, fix)
		}
	}, h.warn)
	if h.built != nil {
		h.sudo(tree)
	}
}

// shell is what a hook is written for.
type shell struct {
	path  string // in the image, "" where it isn't known
	posix bool   // it asks for sh
}

// parse reads a script. What is for bash alone is no error here, also for sh, where bash reads it at all:
// bashOnly finds all of it.
func (s shell) parse(b []byte) (*syntax.File, error) {
	tree, err := parse(b, syntax.LangBash)
	if err == nil || !s.posix {
		return tree, err
	}
	posix, posixErr := parse(b, syntax.LangPOSIX)
	if posixErr == nil {
		return posix, nil
	}
	if errors.As(posixErr, new(syntax.ParseError)) {
		return nil, posixErr
	}
	return nil, err
}

func parse(b []byte, variant syntax.LangVariant) (*syntax.File, error) {
	return syntax.NewParser(syntax.Variant(variant)).Parse(shallow{bytes.NewReader(plain(b))}, "")
}

// plain is a script with a letter for each run of bytes that is no UTF-8. Shells take such bytes as they are,
// in whatever encoding they were written.
func plain(b []byte) []byte { return bytes.ToValidUTF8(b, []byte("é")) }

// readByShell is what a shell reads of a script: behind a command that ends it may stand data.
func readByShell(b []byte) []byte {
	last := 0 // the line of the command that ends it
	text := bytes.ReplaceAll(plain(b), []byte{0}, []byte("é"))
	for s, err := range syntax.NewParser(syntax.Variant(syntax.LangBash)).StmtsSeq(shallow{bytes.NewReader(text)}) {
		if err != nil { // it is met again where it matters
			break
		}
		if ends(s) {
			last = int(s.End().Line())
			break
		}
	}
	if last == 0 {
		return b
	}
	at := 0
	for range last {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return b
		}
		at += i + 1
	}
	return b[:at]
}

// ends tells whether nothing is read behind a command.
func ends(s *syntax.Stmt) bool {
	if s.Background || s.Coprocess {
		return false
	}
	switch c := s.Cmd.(type) {
	case *syntax.Block:
		return slices.ContainsFunc(c.Stmts, ends)
	case *syntax.CallExpr:
		words := builtin(c)
		return len(words) > 0 && text(words[0]) == "exit" || len(words) > 1 && text(words[0]) == "exec"
	}
	return false
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

// language returns what the script is written for, by its first line; without one it is bash. Not ok: it
// can't run.
func (h *hook) language(b []byte) (is shell, ok bool) {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	shebang, ok := strings.CutPrefix(string(line), "#!")
	if !ok {
		return is, h.anyShell()
	}
	words := strings.Fields(shebang)
	if len(words) == 0 {
		h.fault(1, "has a first line that names no interpreter", h.begin())
		return is, false
	}
	if path.Base(words[0]) == "env" {
		return h.byEnv(words)
	}
	if !path.IsAbs(words[0]) {
		h.fault(1, fmt.Sprintf("names its interpreter as %q, which is not an absolute path", clip(words[0])), h.begin())
		return is, false
	}
	if is, ok = h.shell(words[0]); !ok {
		return is, false
	}
	if len(words) > 2 {
		h.fault(1, fmt.Sprintf("hands %q to its shell as one word", clip(strings.Join(words[1:], " "))), "write the options together, as -eu, or as a set command in a line of its own")
		return is, false
	}
	return is, h.interpreter(is.path)
}

// shell tells the shells that hooks are written for from other interpreters.
func (h *hook) shell(program string) (is shell, ok bool) {
	is = shell{path: program, posix: path.Base(program) == "sh"}
	if !is.posix && path.Base(program) != "bash" {
		h.fault(1, fmt.Sprintf("is a script for %q: admin hooks are bash or sh scripts", clip(program)), h.begin()+", and call the other program from it")
		return is, false
	}
	return is, true
}

// byEnv is language for a first line that looks its interpreter up by env(1).
func (h *hook) byEnv(words []string) (is shell, ok bool) {
	env, words := words[0], words[1:]
	// The kernel hands everything behind env over as one word, which only -S takes apart.
	if len(words) > 1 && !strings.HasPrefix(words[0], "-S") && !strings.HasPrefix(words[0], "--split-string") {
		h.fault(1, fmt.Sprintf("has a first line that looks for a program named %q", clip(strings.Join(words, " "))), h.begin())
		return is, false
	}
	list := ""
	if h.built != nil {
		list = h.built.path()
	}
	for ; len(words) > 0; words = words[1:] {
		if rest, ok := strings.CutPrefix(words[0], "--split-string="); ok {
			words = append([]string{"", rest}, words[1:]...)
		} else if len(words[0]) > 2 && strings.HasPrefix(words[0], "-S") {
			words = append([]string{"", words[0][2:]}, words[1:]...)
		} else if value, ok := strings.CutPrefix(words[0], "PATH="); ok {
			list = value
		} else if words[0] == "-u" || words[0] == "-C" {
			words = words[min(1, len(words)-1):]
		} else if !strings.HasPrefix(words[0], "-") && !strings.Contains(words[0], "=") {
			break
		}
	}
	if len(words) == 0 {
		h.fault(1, "has a first line that names no interpreter", h.begin())
		return is, false
	}
	if is, ok = h.shell(words[0]); !ok || !h.interpreter(env) {
		return is, false
	}
	if path.IsAbs(is.path) {
		return is, h.interpreter(is.path)
	}
	if h.built == nil {
		return is, true
	}
	name := is.path
	if is.path = h.built.program(name, list, &h.built.user); is.path == "" {
		h.fault(1, fmt.Sprintf("needs %s, which the image does not have in its PATH (%s)", name, clip(list)), h.instead(name))
		return is, false
	}
	return is, true
}

// begin says how a hook can begin in this image.
func (h *hook) begin() string {
	var have []string
	for _, s := range []string{"/bin/bash", "/bin/sh"} {
		if h.built == nil || h.built.follow(s, &h.built.user).is != nil {
			have = append(have, "#!"+s)
		}
	}
	if len(have) == 0 {
		return fixShell
	}
	return "begin it with " + strings.Join(have, " or ")
}

// instead says what mends a hook whose shell, bash or sh, is not where it looks for it.
func (h *hook) instead(name string) string {
	fix := fmt.Sprintf("install %s before the hooks are added", name)
	if at := h.built.program(name, h.built.path()+":"+defaultPath, &h.built.user); at != "" {
		return "begin it with #!" + at
	}
	if name == "bash" && h.built.program("sh", "/bin", &h.built.user) != "" {
		fix += ", or write it for sh and begin it with #!/bin/sh"
	}
	return fix
}

// fixShell mends an image that has not the shell of its hooks.
const fixShell = "build on a base with a shell, or install one before the hooks are added"

// interpreter tells whether the image has a program that a hook's first line names by its path, and who runs
// the hook may execute it. Of a folder on this machine, which doesn't show what else the image will have, it says yes.
func (h *hook) interpreter(program string) bool {
	if h.built == nil {
		return true
	}
	at := h.built.follow(program, &h.built.user)
	switch {
	case at.is == nil:
		h.fault(1, fmt.Sprintf("needs %s, which the image does not have", clip(program)), h.instead(path.Base(program)))
	case at.closed != "":
		h.closed(at.closed)
	case !h.built.user.may(at.is, mayExecute):
		h.fault(1, fmt.Sprintf("needs %s, which %s may not execute (%s)", clip(program), h.built.user.name, describe(at.is)), fmt.Sprintf("RUN chmod 755 /%s in the Dockerfile", clip(at.real)))
	default:
		return true
	}
	return false
}

// anyShell tells whether the image has a shell for a hook that names none.
func (h *hook) anyShell() bool {
	if h.built == nil || h.built.follow("/bin/bash", &h.built.user).is != nil || h.built.follow("/bin/sh", &h.built.user).is != nil {
		return true
	}
	h.fault(0, "needs a shell, and the image has neither /bin/bash nor /bin/sh", fixShell)
	return false
}

// syntax is about a script that its shell would refuse.
func (h *hook) syntax(err error) {
	var parse syntax.ParseError
	var lang syntax.LangError
	switch {
	case errors.As(err, &lang):
		h.fault(int(lang.Pos.Line()), "does not parse: "+clip(lang.Feature)+" is not understood here", "check it with bash -n")
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
