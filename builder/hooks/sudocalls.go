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
		if !ok || strings.Contains(run.command+run.as+run.group, unknownWord) {
			return true
		}
		h.sudoRun(int(call.Pos().Line()), run)
		return true
	})
}

// sudoRun checks one use of sudo.
func (h *hook) sudoRun(line int, run sudoRun) {
	may := h.built.sudoers
	run = may.place(run)
	problem := may.allows(run)
	if may.err != nil && h.built.err == nil {
		h.built.err = may.err
	}
	shown := clip(run.asked)
	switch {
	case problem == tooManySudoers:
		h.fault(line, fmt.Sprintf("runs sudo %s, but %s", shown, problem), "shorten the image's /etc/sudoers and what it includes")
	case problem == wantsTerminal:
		h.fault(line, fmt.Sprintf("runs sudo %s, but %s", shown, problem), fmt.Sprintf("add this line at the end of the image's /etc/sudoers: Defaults:%s !requiretty", may.user.name))
	case problem != "":
		fix := fmt.Sprintf("add this line at the end of the image's /etc/sudoers: %s", clip(run.line(may.user.name)))
		if may.problem != "" {
			fix = "RUN chown 0:0 /etc/sudoers && chmod 440 /etc/sudoers in the Dockerfile"
		} else if run.missing {
			fix = fmt.Sprintf("install %s in the image, and %s", shown, fix)
		}
		h.fault(line, fmt.Sprintf("runs sudo %s, but %s", shown, problem), fix)
		return
	}
	if may.image.program("sudo", may.image.path(), &may.user) == "" {
		h.warn(line, "runs sudo, which the image does not have", "install it in the image")
	}
	if run.missing {
		h.warn(line, fmt.Sprintf("runs sudo %s, which the image does not have", shown), "install it in the image")
	}
	if as := run.as; as != "" && as != "root" && !strings.HasPrefix(as, "#") && !may.image.accounts.find(as).known {
		h.warn(line, fmt.Sprintf("runs sudo as %s, whom the image does not have", clip(as)), "make the user in the Dockerfile, with useradd")
	}
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
		case "nice", "ionice", "timeout", "setsid", "stdbuf", "xargs":
			i := slices.IndexFunc(words, func(w string) bool { return path.Base(w) == "sudo" })
			if i < 0 {
				return nil
			}
			words = words[i:]
		default:
			return nil
		}
	}
	return nil
}

// sudoRun is one use of sudo.
type sudoRun struct {
	as        string // the user to become; "" for none that is named
	group     string // the group to take, or ""
	asked     string // the command as the hook names it
	command   string // and as sudo finds it
	args      []string
	login     bool     // in a login shell of the user to become
	shell     bool     // in the shell of who runs it
	all       bool     // with all variables of who runs it
	variables []string // that it sets for the command, by name
	missing   bool     // the image does not have the command
}

// line is what sudoers has to say so that user may do the run.
func (r sudoRun) line(user string) string {
	as := ""
	switch {
	case r.group != "" && r.as == "":
		as = fmt.Sprintf("(:%s) ", escape(r.group))
	case r.group != "":
		as = fmt.Sprintf("(%s:%s) ", escape(r.as), escape(r.group))
	case r.as != "" && r.as != "root":
		as = fmt.Sprintf("(%s) ", escape(r.as))
	}
	tags := "NOPASSWD:"
	if r.setsVariables(nil) {
		tags += "SETENV:"
	}
	if r.command == sudoedit {
		return fmt.Sprintf("%s ALL= %s%s %s %s", user, as, tags, sudoedit, escape(strings.Join(r.args, " ")))
	}
	return fmt.Sprintf("%s ALL= %s%s %s", user, as, tags, escape(r.command))
}

// sudoedit is how sudoers calls the editing of files, which sudo -e does.
const sudoedit = "sudoedit"

// escape puts backslashes before what means something in sudoers. A number's # stays.
func escape(s string) string {
	from := 0
	if isUID(s) {
		from = 1
	}
	var b strings.Builder
	for i, c := range s {
		if i >= from && strings.ContainsRune(`\,:=#!*?[] "()`, c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// parseSudo reads the words behind sudo, by sudo(8). Not ok: it runs no command.
func parseSudo(words []string) (run sudoRun, ok bool) {
	edit := false
	for len(words) > 0 {
		w := words[0]
		words = words[1:]
		switch {
		case w == "--":
			return run.with(words, edit)
		case strings.HasPrefix(w, "--"):
			name, value, has := strings.Cut(w[2:], "=")
			if slices.Contains([]string{"list", "validate", "version", "help", "reset-timestamp", "remove-timestamp"}, name) {
				return run, false
			}
			run.shell, run.login, edit = run.shell || name == "shell", run.login || name == "login", edit || name == "edit"
			run.all = run.all || name == "preserve-env" && !has
			if name == "preserve-env" && has {
				run.variables = append(run.variables, strings.Split(value, ",")...)
			}
			if !has && slices.Contains([]string{"user", "group", "host", "prompt", "chdir", "chroot", "role", "type", "close-from", "command-timeout", "other-user"}, name) && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			switch name {
			case "user":
				run.as = value
			case "group":
				run.group = value
			}
		case strings.HasPrefix(w, "-") && len(w) > 1:
			var stop bool
			if words, stop = run.short(w[1:], words, &edit); stop {
				return run, false
			}
		case strings.Contains(w, "=") && !strings.Contains(w, "/"):
			name, _, _ := strings.Cut(w, "=")
			run.variables = append(run.variables, name)
		default:
			return run.with(append([]string{w}, words...), edit)
		}
	}
	return run.with(nil, edit)
}

// short reads a group of short options and returns the words behind their values.
func (r *sudoRun) short(flags string, words []string, edit *bool) (rest []string, stop bool) {
	for i, f := range flags {
		switch {
		case strings.ContainsRune("lvVhKk", f):
			// -k with a command runs it; alone these only ask or forget.
			if f != 'k' || len(words) == 0 {
				return nil, true
			}
		case f == 's':
			r.shell = true
		case f == 'i':
			r.login = true
		case f == 'e':
			*edit = true
		case f == 'E':
			r.all = true
		case strings.ContainsRune("ugpCDRrtTU", f):
			value := flags[i+1:]
			if value == "" && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			switch f {
			case 'u':
				r.as = value
			case 'g':
				r.group = value
			}
			return words, false
		}
	}
	return words, false
}

// with completes the run with a command and its arguments, or the files to edit.
func (r sudoRun) with(words []string, edit bool) (sudoRun, bool) {
	switch {
	case edit:
		r.asked, r.command, r.args = sudoedit, sudoedit, words
		return r, len(words) > 0
	case r.shell || r.login:
		if len(words) > 0 {
			r.args = []string{"-c", strings.Join(words, " ")}
		}
		return r, true
	case len(words) == 0 || words[0] == "":
		return r, false
	}
	r.asked, r.command, r.args = words[0], words[0], words[1:]
	return r, true
}

// setsVariables tells whether the run sets variables that sudo takes only from who may set all. kept are those that
// it takes here.
func (r sudoRun) setsVariables(kept []string) bool {
	return r.all || slices.ContainsFunc(r.variables, func(v string) bool { return !passedOn(v) && !slices.Contains(kept, v) })
}

// passedOn tells whether sudo takes a variable on its line from everybody (sudo's own env_check and env_keep).
func passedOn(name string) bool {
	return strings.HasPrefix(name, "LC_") || slices.Contains([]string{"COLORS", "COLORTERM", "DISPLAY", "HOSTNAME", "KRB5CCNAME", "LANG", "LANGUAGE", "LINGUAS",
		"LS_COLORS", "PATH", "PS1", "PS2", "TERM", "TZ", "XAUTHORITY", "XAUTHORIZATION"}, name)
}
