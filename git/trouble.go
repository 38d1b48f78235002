package git

import (
	"regexp"
	"strings"
	"sync"
)

// Kind is what a failure of git is about.
type Kind int

// The kinds. Of some the zero value knows nothing: they may work later or elsewhere, as Unknown.
const (
	Unknown      Kind = iota
	Unreached         // the host, or the way to it, doesn't work now
	Strange           // the answer is not one of a git repository, such as a page of a proxy
	Full              // the machine where git runs lacks room or another means
	NoHelper          // the git that runs lacks a transport such as https
	Denied            // a credential is wanted, or refused
	NoRepository      // the host has no such repository, or hides it
	NoObject          // the repository has no such commit, branch or tag
	Refused           // a transport that may not be used, such as file
	Moved             // the host leads elsewhere for good
	Led               // the host leads elsewhere for now
	Misnamed          // .gitmodules doesn't say what it should
)

// Users tells whether the kind is the fault of what was asked for, so that the same fails again.
func (k Kind) Users() bool {
	switch k {
	case Denied, NoRepository, NoObject, Refused, Moved, Misnamed:
		return true
	}
	return false
}

// Trouble is a failure as git tells it.
type Trouble struct {
	Kind Kind
	Said string // the line of git's that tells, or all of its text where none is known
}

// rules tell kinds by git's own sentences, in the C locale, whole lines of which names and
// addresses are cut out: 'x' is left as ” and an address as URL. The first rule that fits any
// line counts, so those that name a cause come before what git says in its consequence. They are made when git first fails.
var rules = sync.OnceValue(func() []rule { //nolint:gochecknoglobals // a constant
	return []rule{
		{Full, form(`.*: (No space left on device|Disk quota exceeded|Input/output error|Read-only file system|Too many open files( in system)?|Cannot allocate memory|Stale file handle)`)},
		{Full, form(`(fatal: )?(Out of memory, .*|unable to create thread: .*|cannot (create thread|fork\(\)).*)`)},
		{NoHelper, form(`git: 'remote-(https?|ftps?)' is not a git command.*`)},
		{NoHelper, form(`fatal: unable to find remote helper for '(https?|ftps?)'`)},
		{Refused, form(`git: 'remote-[^']*' is not a git command.*`)},
		{Refused, form(`fatal: unable to find remote helper for ''`)},
		{Refused, form(`fatal: transport '' not allowed`)},
		{Denied, form(`fatal: Authentication failed for ''`)},
		{Denied, form(`error: unable to read askpass response from ''`)},
		{Denied, form(`fatal: could not read (Username|Password) for ''.*`)},
		{Denied, form(`fatal: unable to access '': The requested URL returned error: (401|403)( .*)?`)},
		{Denied, form(`error: RPC failed; HTTP (401|403) .*`)},
		{Denied, form(`(\S+: )?Permission denied \([a-z0-9,-]+\)\.?`)},
		{Denied, form(`Host key verification failed\.`)},
		{NoRepository, form(`fatal: repository '' (not found|does not exist)`)},
		{NoRepository, form(`fatal: unable to access '': The requested URL returned error: (404|410)( .*)?`)},
		{NoRepository, form(`fatal: '' does not appear to be a git repository`)},
		{NoRepository, form(`fatal: remote error: access denied or repository not exported: .*`)},
		{NoRepository, form(`(fatal: remote error|ERROR): Repository not found\.?`)},
		{Moved, form(`fatal: unable to access '': The requested URL returned error: (301|308)( .*)?`)},
		{Led, form(`fatal: unable to access '': The requested URL returned error: (302|303|307)( .*)?`)},
		{Strange, form(`fatal: URL not valid: .*is this a git repository\?`)},
		{Strange, form(`fatal: protocol error: .*`)},
		{Strange, form(`fatal: unable to access '': Received HTTP/0\.9 when not allowed`)},
		{Misnamed, form(`fatal: (No url found for submodule path|no submodule mapping found in \.gitmodules for path) ''.*`)},
		{Misnamed, form(`fatal: cannot strip one component off url ''`)},
		{Misnamed, form(`fatal: bad config line \d+ in (file|blob) .*\.gitmodules`)},
		{NoObject, form(`fatal: (remote error: |git )?upload-pack: not our ref [0-9a-f]+`)},
		{NoObject, form(`(fatal|error): Server does not allow request for unadvertised object [0-9a-f]+`)},
		{NoObject, form(`fatal: couldn't find remote ref .*`)},
		{NoObject, form(`fatal: (reference is not a tree|bad object|unable to read tree|Not a valid object name|ambiguous argument)\b.*`)},
		{NoObject, form(`error: pathspec '' did not match any file\(s\) known to git`)},
		{NoObject, form(`fatal: (Fetched in submodule path '', but it did not contain|Unable to checkout '' in submodule path).*`)},
		{Unreached, form(`fatal: unable to access '': .*`)},
		{Unreached, form(`fatal: unable to (connect to|look up) .*`)},
		{Unreached, form(`ssh: .*`)},
		{Unreached, form(`fatal: read error: .*`)},
		{Unreached, form(`(fatal|error): (the remote end hung up .*|early EOF|RPC failed; .*|unexpected disconnect while reading sideband packet|index-pack failed|expected .* packet|fetch-pack: .*)`)},
	}
})

type rule struct {
	kind Kind
	form *regexp.Regexp
}

// unadvertised is in what git says of an old server, which gives out the commits of refs alone: it may have the commit.
const unadvertised = "unadvertised object"

func form(text string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + text + `)$`) }

var (
	// address is a URL; what follows git's own quotes is cut with them.
	address = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*:/{2}[^\s'"]*`)
	// quoted is a name as git quotes it. The quotes stand alone, unlike the apostrophe of "couldn't".
	quoted = regexp.MustCompile(`(^|[\s(])'(.*?)'($|[\s,;:.)])`)
	// kept are quoted words that tell something themselves.
	kept = regexp.MustCompile(`^(remote-.*|https?|ftps?)$`)
	// helper are the lines in which they do.
	helper = regexp.MustCompile(`^(git: '|fatal: unable to find remote helper for ')`)
)

// Read tells what git's error output comes to. What a host sent along ("remote: …") tells nothing: it
// may say anything. Nor do addresses and names in the lines, whatever words they are made of.
func Read(said string) Trouble {
	var lines, bare []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "remote:") {
			continue
		}
		lines, bare = append(lines, line), append(bare, cut(line))
	}
	for _, r := range rules() {
		for i, line := range bare {
			if r.form.MatchString(line) {
				return Trouble{r.kind, sentence(lines, i)}
			}
		}
	}
	for i, line := range lines {
		if strings.HasPrefix(line, "fatal: ") || strings.HasPrefix(line, "error: ") {
			return Trouble{Unknown, sentence(lines, i)}
		}
	}
	return Trouble{Unknown, strings.Join(lines, " ")}
}

// sentence is a line, with the next one where it ends in a colon: git breaks some in two.
func sentence(lines []string, i int) string {
	if strings.HasSuffix(lines[i], ":") && i+1 < len(lines) {
		return lines[i] + " " + lines[i+1]
	}
	return lines[i]
}

// cut takes names and addresses out of a line.
func cut(line string) string {
	if helper.MatchString(line) {
		line = quoted.ReplaceAllStringFunc(line, func(q string) string {
			if m := quoted.FindStringSubmatch(q); !kept.MatchString(m[2]) {
				return m[1] + "''" + m[3]
			}
			return q
		})
		return line
	}
	return address.ReplaceAllString(quoted.ReplaceAllString(line, "$1''$3"), "URL")
}
