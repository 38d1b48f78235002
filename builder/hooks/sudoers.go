package hooks

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// sudoers is what the image's sudoers allow the user of the hooks, by sudoers(5). It is read
// at its first use. What is no file, or no folder, where one should be counts as absent, as
// sudo itself would refuse it.
type sudoers struct {
	image  *image
	user   account // whom they are asked about
	loaded bool
	steps  int // comparisons that may still be made; below 0 the answers count no more
	bytes  int // of sudoers that may still be read; below 0 there is more than is read
	depth  int // aliases that are being followed, as they can name each other

	err     error    // the first about reading the image; the answers count no more
	missing bool     // there is no /etc/sudoers
	problem string   // why sudo doesn't use the image's /etc/sudoers, or ""
	open    bool     // authentication is switched off by a Defaults line
	tty     bool     // a Defaults line asks for a terminal
	setenv  bool     // a Defaults line lets everybody set variables
	kept    []string // variables that Defaults lines let pass
	path    string   // where sudo looks for commands, by a Defaults line
	names   []string
	aliases map[string][]string // by kind and name, as "Cmnd_Alias NAME"
	rules   []rule
}

// rule is one command that is allowed or forbidden; the last that matches decides.
type rule struct {
	users, hosts, runas         []string
	groups                      []string // that may be taken
	command                     string   // with its arguments
	forbidden, password, setenv bool
}

// maxIncludes bounds the files that are read, since includes may form a circle.
const maxIncludes = 64

// maxLine is the longest line of sudoers that is understood, continuations joined, in bytes.
const maxLine = 16 << 10

// maxBytes is the most that is read of sudoers, in bytes.
const maxBytes = 256 << 10

// maxSteps bounds the comparisons for an image's hooks. What is long counts for more.
const maxSteps = 250_000

// maxDepth bounds how many aliases are followed from one to the next.
const maxDepth = 50

// tooManySudoers says why a question has no answer.
const tooManySudoers = "the image's sudoers are more than is followed here"

// wantsTerminal says why sudo refuses every hook.
const wantsTerminal = "the image's sudoers have requiretty, and a hook has no terminal"

// allows returns "" when the user of the hooks may do run without a password, else why not.
// It is also "" once err is set.
func (s *sudoers) allows(run sudoRun) string {
	s.load()
	switch {
	case s.err != nil:
		return ""
	case s.missing:
		return "the image has no /etc/sudoers"
	case s.problem != "":
		return s.problem
	case s.steps < 0:
		return tooManySudoers
	}
	found, target := false, s.target(run)
	var last rule
	for _, r := range s.rules {
		if !s.step(1) {
			return tooManySudoers
		}
		if s.matches("User_Alias", r.users, s.isUser) && s.matches("Host_Alias", r.hosts, isAny) &&
			s.becomes(r, run, target) && s.commandMatches(r.command, run) {
			last, found = r, true
		}
	}
	switch {
	case s.steps < 0 || s.bytes < 0:
		return tooManySudoers
	case !found || last.forbidden:
		return fmt.Sprintf("no sudoers line of the image allows it to %s%s", s.user.name, run.becoming())
	case last.password && !s.open:
		return "the image's sudoers ask for a password for it"
	case run.setsVariables(s.kept) && !last.setenv && !s.setenv:
		return "the image's sudoers don't let it set the command's variables"
	case s.tty:
		return wantsTerminal
	}
	return ""
}

// becoming says as whom a command is to run, where that is not root.
func (r sudoRun) becoming() string {
	text := ""
	if r.as != "" && r.as != "root" {
		text = " as " + clip(r.as)
	}
	if r.group != "" {
		text += " with the group " + clip(r.group)
	}
	return text
}

// target is whom a run becomes: with a group alone, who runs it.
func (s *sudoers) target(run sudoRun) account {
	switch {
	case run.as != "":
		return s.image.accounts.find(run.as)
	case run.group != "":
		return s.user
	}
	return s.image.accounts.find("root")
}

// becomes tells whether a rule lets who runs sudo become whom the run asks for.
func (s *sudoers) becomes(r rule, run sudoRun, target account) bool {
	user := run.group != "" && target.name == s.user.name || s.matches("Runas_Alias", r.runas, func(entry string) bool {
		return entry == "ALL" || entry == target.name || entry == run.as || entry == "#0" && target.name == "root" || target.known && entry == fmt.Sprintf("#%d", target.uid) ||
			slices.ContainsFunc(target.groups, func(g group) bool { return entry == "%"+g.name })
	})
	return user && (run.group == "" || s.matches("Runas_Alias", r.groups, func(entry string) bool { return entry == "ALL" || entry == run.group }))
}

// place finds the command of a run in the image, as sudo does.
func (s *sudoers) place(run sudoRun) sudoRun {
	s.load()
	if run.shell || run.login {
		who := s.user
		if run.login {
			who = s.image.accounts.find(cmp.Or(run.as, "root"))
		}
		run.command = cmp.Or(who.shell, "/bin/sh")
		run.asked = run.command
	}
	list := cmp.Or(s.path, s.image.path())
	root := account{name: "root", known: true}
	switch {
	case run.command == sudoedit:
	case strings.Contains(run.command, "/"):
		run.missing = path.IsAbs(run.command) && s.image.follow(run.command, &root).is == nil
	default:
		if found := s.image.program(run.command, list, &root); found != "" {
			run.command = found
		} else {
			run.missing, run.command = true, path.Join("/usr/bin", run.command)
		}
	}
	return run
}

func isAny(name string) bool { return name == "ALL" }

// isUser tells whether an entry of a user list means the user of the hooks. names has the
// user's own, its uid and its groups, as sudoers writes them.
func (s *sudoers) isUser(name string) bool { return name == "ALL" || slices.Contains(s.names, name) }

// matches tells whether a list matches, its last matching entry deciding.
func (s *sudoers) matches(kind string, list []string, is func(string) bool) bool {
	matched := false
	for _, e := range list {
		if !s.step(1 + len(e)/64) {
			return false
		}
		name := strings.TrimLeft(e, "! ")
		hit := is(name)
		if members, ok := s.aliases[kind+" "+name]; ok && s.depth < maxDepth {
			s.depth++
			hit = s.matches(kind, members, is)
			s.depth--
		}
		if hit {
			matched = strings.Count(e[:len(e)-len(name)], "!")%2 == 0
		}
	}
	return matched
}

// step tells whether so many more comparisons may be made. One that may not leaves none.
func (s *sudoers) step(count int) bool {
	if s.steps < count {
		s.steps = min(s.steps, 0) - 1
		return false
	}
	s.steps -= count
	return true
}

// commandMatches tells whether a command of sudoers covers run.
func (s *sudoers) commandMatches(entry string, run sudoRun) bool {
	if !s.step(len(entry) / 64) {
		return false
	}
	if members, ok := s.aliases["Cmnd_Alias "+entry]; ok && s.depth < maxDepth {
		s.depth++
		defer func() { s.depth-- }()
		matched := false
		for _, m := range members {
			name := strings.TrimLeft(m, "! ")
			if s.step(1) && s.commandMatches(name, run) {
				matched = len(m) == len(name)
			}
		}
		return matched
	}
	words := fields(entry)
	for len(words) > 0 && strings.HasPrefix(words[0], "sha") && strings.Contains(words[0], ":") {
		words = words[1:] // a digest of the command, which the image decides
	}
	if len(words) == 0 {
		return false
	}
	if words[0] == "ALL" {
		return true
	}
	if run.command == sudoedit || words[0] == sudoedit {
		return run.command == words[0] && argsMatch(unescape(strings.Join(words[1:], " ")), strings.Join(run.args, " "))
	}
	if !s.step(len(words[0])*len(run.command)/64) || !s.fileMatches(unescape(words[0]), run) {
		return false
	}
	switch args := words[1:]; {
	case len(args) == 0:
		return true
	case len(args) == 1 && args[0] == `""`:
		return len(run.args) == 0
	default:
		pattern, given := unescape(strings.Join(args, " ")), strings.Join(run.args, " ")
		return s.step(len(pattern)*len(given)/64) && argsMatch(pattern, given)
	}
}

// fileMatches tells whether the file name of a sudoers command covers a command: it is the same file by the
// same name, however a link in the way to it is called. One that the image does not have is known by its name.
func (s *sudoers) fileMatches(pattern string, run sudoRun) bool {
	command := run.command
	if run.missing && !strings.Contains(run.asked, "/") {
		command, pattern = path.Base(command), path.Base(pattern)
	}
	if strings.HasSuffix(pattern, "/") {
		return path.Dir(command)+"/" == pattern || s.same(pattern, path.Dir(command))
	}
	if ok, err := path.Match(pattern, command); err == nil && ok {
		return true
	}
	return path.Base(pattern) == path.Base(command) && s.same(pattern, command)
}

// same tells whether two paths lead to one place of the image.
func (s *sudoers) same(a, b string) bool {
	root := account{name: "root", known: true}
	x, y := s.image.follow(a, &root), s.image.follow(b, &root)
	return x.is != nil && y.is != nil && x.real == y.real
}

// argsMatch matches arguments, where * covers blanks and slashes too. What is only known when
// the hook runs is taken to fit.
func argsMatch(pattern, args string) bool {
	if strings.Contains(args, unknownWord) {
		return true
	}
	return wildcard(pattern, args)
}

// wildcard matches * and ? of a shell pattern, without the special place of slashes.
func wildcard(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == s[i] || pattern[p] == '?'):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// fields cuts at blanks that no backslash stands before.
func fields(s string) []string {
	escaped := false
	return strings.FieldsFunc(s, func(r rune) bool {
		blank := !escaped && (r == ' ' || r == '\t')
		escaped = !escaped && r == '\\'
		return blank
	})
}

// unescape removes the backslashes before characters that mean something in sudoers.
func unescape(s string) string {
	return strings.NewReplacer(`\,`, ",", `\:`, ":", `\=`, "=", `\ `, " ", `\\`, `\`).Replace(s)
}

// load reads the image's sudoers.
func (s *sudoers) load() {
	if s.loaded {
		return
	}
	s.loaded = true
	s.user = s.image.user
	s.aliases = make(map[string][]string)
	s.steps, s.bytes = maxSteps, maxBytes
	s.names = []string{s.user.name}
	if s.user.known {
		s.names = append(s.names, fmt.Sprintf("#%d", s.user.uid))
	}
	for _, g := range s.user.groups {
		s.names = append(s.names, "%"+g.name, fmt.Sprintf("%%#%d", g.id))
	}
	left := maxIncludes
	s.missing = !s.include("etc/sudoers", &left)
	if is := s.stat("etc/sudoers"); is != nil && !usable(is) {
		s.problem = fmt.Sprintf("sudo refuses the image's /etc/sudoers, which others may write (%s)", describe(is))
	}
}

// usable tells whether sudo trusts a file: it is root's, and nobody else may write it.
func usable(is fs.FileInfo) bool {
	uid, gid := owner(is)
	return uid == 0 && is.Mode().Perm()&0o002 == 0 && (gid == 0 || is.Mode().Perm()&0o020 == 0)
}

// stat returns what is at a place in the image, nil where nothing is or the image can't be read.
func (s *sudoers) stat(name string) fs.FileInfo {
	if s.err != nil {
		return nil
	}
	is, err := fs.Stat(s.image.files, name)
	if err != nil {
		if !nothingThere(err) {
			s.fail(name, err)
		}
		return nil
	}
	return is
}

func (s *sudoers) fail(name string, err error) {
	s.err = fmt.Errorf("reading /%s of the image, which says what sudo may do: %w", name, err)
}

// read returns what stands in a file of the image. Not ok: there is no such file, or err is set.
func (s *sudoers) read(name string) (text string, ok bool) {
	if is := s.stat(name); is == nil || !is.Mode().IsRegular() || name != "etc/sudoers" && !usable(is) {
		return "", false
	}
	b, err := fs.ReadFile(s.image.files, name)
	if err != nil {
		s.fail(name, err)
		return "", false
	}
	return string(b), true
}

// include reads one file of sudoers and what it includes, and tells whether it is there.
func (s *sudoers) include(name string, left *int) bool {
	if *left--; *left < 0 {
		return false
	}
	text, ok := s.read(name)
	if !ok {
		return false
	}
	if s.bytes -= len(text); s.bytes < 0 {
		return true
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	for line := range strings.Lines(text) {
		if len(line) <= maxLine {
			s.line(strings.TrimSpace(line), left)
		}
	}
	return true
}

// line reads one line of sudoers, continuations joined.
func (s *sudoers) line(line string, left *int) {
	word, rest, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	rest = strings.TrimSpace(rest)
	switch {
	case word == "#include" || word == "@include":
		s.include(included(rest), left)
	case word == "#includedir" || word == "@includedir":
		s.includeDir(included(rest), left)
	case strings.HasPrefix(line, "#") && !isUID(word):
	case strings.HasPrefix(word, "Defaults"):
		s.defaults(word, uncomment(rest))
	case slices.Contains([]string{"User_Alias", "Host_Alias", "Runas_Alias", "Cmnd_Alias", "Cmd_Alias"}, word):
		s.alias(strings.Replace(word, "Cmd_", "Cmnd_", 1), uncomment(rest))
	default:
		s.spec(uncomment(line))
	}
}

// included is the path of an include line, for the image's file system.
func included(rest string) string {
	p := unescape(strings.Trim(rest, `"`))
	if !path.IsAbs(p) {
		p = "/etc/" + p
	}
	return strings.TrimPrefix(path.Clean(p), "/")
}

// includeDir reads a folder's files in the order of their names, without those with a dot or
// a tilde at the end, as sudo does.
func (s *sudoers) includeDir(dir string, left *int) {
	if is := s.stat(dir); is == nil || !is.IsDir() {
		return
	}
	entries, err := fs.ReadDir(s.image.files, dir)
	if err != nil {
		s.fail(dir, err)
		return
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if !e.IsDir() && !strings.Contains(e.Name(), ".") && !strings.HasSuffix(e.Name(), "~") {
			s.include(path.Join(dir, e.Name()), left)
		}
	}
}

// isUID tells whether a word that begins with # is a user by number rather than a comment.
func isUID(word string) bool {
	return len(word) > 1 && strings.Trim(word[1:], "0123456789") == ""
}

// uncomment cuts a comment from the end of a line. A # before a digit is a user's number.
func uncomment(s string) string {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || s[i-1] != '\\' && s[i-1] != '%') && (i+1 == len(s) || s[i+1] < '0' || s[i+1] > '9') {
			return strings.TrimSpace(s[:i])
		}
	}
	return s
}

// defaults notes a Defaults line that concerns the user: who needs no password or a terminal, what variables
// pass, where commands are looked for.
func (s *sudoers) defaults(word, rest string) {
	scope := strings.TrimPrefix(word, "Defaults")
	if scope != "" && (scope[0] != ':' || !s.matches("User_Alias", split(scope[1:], ','), s.isUser)) {
		return
	}
	for _, o := range split(rest, ',') {
		name, value, _ := strings.Cut(strings.ReplaceAll(o, "\"", ""), "=")
		on := !strings.HasPrefix(name, "!")
		switch name = strings.Trim(name, "!+ "); name {
		case "authenticate":
			s.open = !on
		case "requiretty":
			s.tty = on
		case "setenv":
			s.setenv = on
		case "env_keep", "env_check":
			s.kept = append(s.kept, strings.Fields(value)...)
		case "secure_path":
			if s.path = ""; on {
				s.path = strings.TrimSpace(value)
			}
		}
	}
}

// alias notes the aliases of a line: NAME = a, b : NAME2 = c.
func (s *sudoers) alias(kind, rest string) {
	for _, one := range split(rest, ':') {
		name, members, ok := strings.Cut(one, "=")
		if ok {
			s.aliases[kind+" "+strings.TrimSpace(name)] = split(members, ',')
		}
	}
}
