package hooks

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// sudo checks that every command the hook runs by sudo is allowed without a password, which
// nobody could enter. Commands that are only known at run time are passed over.
func (h *hook) sudo(tree *syntax.File) {
	syntax.Walk(tree, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		words := make([]string, len(call.Args))
		for i, w := range call.Args {
			words[i] = text(w)
		}
		if words = sudoWords(words); words == nil {
			return true
		}
		run, ok := parseSudo(words)
		if !ok || strings.Contains(run.command, unknownWord) {
			return true
		}
		if problem := h.sudoers.allows(run); problem != "" {
			fix := fmt.Sprintf("add a line to the image's /etc/sudoers: %s ALL= NOPASSWD: %s", user, clip(sudoPath(run.command)))
			if problem == tooManySudoers {
				fix = "shorten the image's /etc/sudoers and what it includes"
			}
			h.fault(int(call.Pos().Line()), fmt.Sprintf("runs sudo %s, but %s", clip(run.command), problem), fix)
		}
		return true
	})
}

// unknownWord stands for a part of a word that is only known when the hook runs.
const unknownWord = "\x00"

// sudoWords returns what follows sudo in a command, past words that run another command;
// nil when there is no sudo.
func sudoWords(words []string) []string {
	for len(words) > 0 {
		switch path.Base(words[0]) {
		case "sudo":
			return words[1:]
		case "exec", "command", "nohup", "time", "env":
			words = words[1:]
			for len(words) > 0 && (strings.HasPrefix(words[0], "-") || strings.Contains(words[0], "=")) {
				if words[0] == "-v" || words[0] == "-V" {
					return nil // command -v sudo only asks whether it is there
				}
				words = words[1:]
			}
		default:
			return nil
		}
	}
	return nil
}

// sudoRun is one use of sudo.
type sudoRun struct {
	as      string // the user to become
	command string // as the hook names it
	args    []string
}

// parseSudo reads the words behind sudo, by sudo(8). Not ok: it runs no command.
func parseSudo(words []string) (run sudoRun, ok bool) {
	run.as = "root"
	shell := false
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		switch {
		case w == "--":
			return run.with(words, shell)
		case strings.HasPrefix(w, "--"):
			name, value, has := strings.Cut(w[2:], "=")
			if slices.Contains([]string{"list", "validate", "version", "help", "reset-timestamp", "remove-timestamp"}, name) {
				return run, false
			}
			shell = shell || name == "shell" || name == "login"
			if !has && slices.Contains([]string{"user", "group", "host", "prompt", "chdir", "chroot", "role", "type", "close-from", "command-timeout", "other-user"}, name) && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			if name == "user" {
				run.as = value
			}
		case strings.HasPrefix(w, "-") && len(w) > 1:
			var stop bool
			if words, stop = run.short(w[1:], words, &shell); stop {
				return run, false
			}
		case strings.Contains(w, "=") && !strings.Contains(w, "/"):
			// a variable for the command's environment
		default:
			return run.with(append([]string{w}, words...), shell)
		}
	}
	return run.with(nil, shell)
}

// short reads a group of short options and returns the words behind their values.
func (r *sudoRun) short(flags string, words []string, shell *bool) (rest []string, stop bool) {
	for i, f := range flags {
		switch {
		case strings.ContainsRune("lvVhKk", f):
			// -k with a command runs it; alone these only ask or forget.
			if f != 'k' || len(words) == 0 {
				return nil, true
			}
		case strings.ContainsRune("si", f):
			*shell = true
		case strings.ContainsRune("ugpCDRrtTU", f):
			value := flags[i+1:]
			if value == "" && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			if f == 'u' {
				r.as = value
			}
			return words, false
		}
	}
	return words, false
}

// with completes the run with a command and its arguments. A shell is asked for by -s or -i.
func (r sudoRun) with(words []string, shell bool) (sudoRun, bool) {
	if shell {
		r.command = "/bin/bash"
		return r, true
	}
	if len(words) == 0 || words[0] == "" {
		return r, false
	}
	r.command, r.args = words[0], words[1:]
	return r, true
}

// sudoPath is an absolute path to write into sudoers for a command.
func sudoPath(command string) string {
	if path.IsAbs(command) {
		return command
	}
	return "/usr/bin/" + path.Base(command)
}
