package hooks

import (
	"slices"
	"strings"
)

// tags are what can stand before a command of sudoers, other than about the password.
var tags = []string{"EXEC", "NOEXEC", "FOLLOW", "NOFOLLOW", "INTERCEPT", "NOINTERCEPT", "LOG_INPUT", "NOLOG_INPUT",
	"LOG_OUTPUT", "NOLOG_OUTPUT", "MAIL", "NOMAIL", "SETENV", "NOSETENV"}

// options are what can stand before the tags, with a value.
var options = []string{"ROLE", "TYPE", "PRIVS", "LIMITPRIVS", "CWD", "CHROOT", "TIMEOUT", "NOTBEFORE", "NOTAFTER", "APPARMOR_PROFILE"}

// spec reads a user specification: USERS HOSTS = COMMANDS : HOSTS = COMMANDS.
func (s *sudoers) spec(line string) {
	head, commands, ok := cutUnescaped(line, '=')
	if !ok {
		return
	}
	users, hosts, ok := splitHead(head)
	if !ok {
		return
	}
	list := split(users, ',')
	for {
		// Another HOSTS = COMMANDS may follow a colon, as a command may follow that of a tag.
		mine, nextHosts, rest, more := nextSpec(commands)
		s.commands(list, split(hosts, ','), mine)
		if !more {
			return
		}
		hosts, commands = nextHosts, rest
	}
}

// splitHead takes the users and hosts before the = apart. Both are lists, whose commas may
// have blanks around them.
func splitHead(head string) (users, hosts string, ok bool) {
	head = strings.Join(strings.Fields(head), " ")
	head = strings.NewReplacer(" , ", ",", ", ", ",", " ,", ",", "! ", "!").Replace(head)
	i := -1
	for j := range len(head) {
		if head[j] == ' ' && (j == 0 || head[j-1] != '\\') {
			i = j
			break
		}
	}
	if i <= 0 {
		return "", "", false
	}
	return head[:i], head[i+1:], true
}

// nextSpec cuts " : HOSTS = COMMANDS" off a list of commands. Hosts are told from a command, which
// may have a = too, by its slash.
func nextSpec(commands string) (mine, hosts, rest string, more bool) {
	for i := range len(commands) {
		if commands[i] != ':' || i > 0 && commands[i-1] == '\\' {
			continue
		}
		h, r, ok := cutUnescaped(commands[i+1:], '=')
		if ok && h != "" && !strings.ContainsAny(h, "/:()\\") {
			// NOPASSWD: CWD=/tmp … is an option and not a host.
			if !slices.Contains(options, strings.TrimSpace(h)) && !isTag(lastWord(commands[:i])) {
				return commands[:i], h, r, true
			}
		}
	}
	return commands, "", "", false
}

func lastWord(s string) string {
	f := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,=):", r) })
	if len(f) == 0 {
		return ""
	}
	return f[len(f)-1]
}

func isTag(w string) bool { return w == "PASSWD" || w == "NOPASSWD" || slices.Contains(tags, w) }

// commands notes the rules of a list of commands. The user to become and the tags hold from
// where they stand to the end of the list.
func (s *sudoers) commands(users, hosts []string, list string) {
	runas, groups := []string{"root"}, []string(nil)
	password, setenv := true, false
	for _, c := range split(list, ',') {
		if strings.HasPrefix(c, "(") {
			inner, rest, ok := strings.Cut(c[1:], ")")
			if !ok {
				return
			}
			names, taken, _ := strings.Cut(inner, ":")
			runas, groups, c = split(names, ','), split(taken, ','), strings.TrimSpace(rest)
			if len(runas) == 0 {
				runas = []string{s.user.name} // (:group) keeps the user
			}
		}
		c, password, setenv = untag(c, password, setenv)
		forbidden := false
		for strings.HasPrefix(c, "!") {
			forbidden, c = !forbidden, strings.TrimSpace(c[1:])
		}
		if c != "" {
			s.rules = append(s.rules, rule{
				users: users, hosts: hosts, runas: runas, groups: groups, command: c,
				forbidden: forbidden, password: password, setenv: setenv || c == "ALL",
			})
		}
	}
}

// untag removes options and tags from the front of a command.
func untag(c string, password, setenv bool) (command string, asks, sets bool) {
	for {
		c = strings.TrimSpace(c)
		if word, rest, ok := strings.Cut(c, ":"); ok && isTag(strings.TrimSpace(word)) {
			switch strings.TrimSpace(word) {
			case "NOPASSWD":
				password = false
			case "PASSWD":
				password = true
			case "SETENV":
				setenv = true
			case "NOSETENV":
				setenv = false
			}
			c = rest
			continue
		}
		if word, rest, ok := strings.Cut(c, "="); ok && slices.Contains(options, strings.TrimSpace(word)) {
			_, c, _ = strings.Cut(strings.TrimSpace(rest), " ")
			continue
		}
		return c, password, setenv
	}
}

// split cuts a list at sep, outside parentheses and where no backslash stands before it.
// A bare ALL, PASSWD or alias survives as it is; empty parts don't.
func split(s string, sep byte) []string {
	var out []string
	depth, from := 0, 0
	add := func(part string) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	for i := range len(s) {
		switch {
		case i > 0 && s[i-1] == '\\':
		case s[i] == '(':
			depth++
		case s[i] == ')' && depth > 0:
			depth--
		case s[i] == sep && depth == 0:
			add(s[from:i])
			from = i + 1
		}
	}
	add(s[from:])
	return out
}

func cutUnescaped(s string, sep byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == sep && (i == 0 || s[i-1] != '\\') {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
