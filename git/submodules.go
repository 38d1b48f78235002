package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
)

// SubmoduleError tells what is wrong with a submodule.
type SubmoduleError struct {
	Path  string // in the repository that is built
	URL   string // as .gitmodules has it; "" where it has none
	Place string // FILE:LINE of .gitmodules
	Err   error  // of Head, or one of its own, which is the fault of who committed it
	Fix   string // "" where Err says enough
}

// Error is all of it.
func (e *SubmoduleError) Error() string {
	what := fmt.Sprintf("the submodule %q", e.Path)
	if e.URL != "" {
		what += " (" + clip(e.URL) + ")"
	}
	return e.Place + ": " + what + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *SubmoduleError) Unwrap() error { return e.Err }

// Errors of submodules' addresses.
var (
	errNotRead   = errors.New("it has an address of a kind that builds may not read")
	errBySSH     = errors.New("it is read by ssh, for which builds have no key")
	errNoURL     = errors.New("it has no url in .gitmodules")
	errTooMany   = fmt.Errorf("there are more than %d submodules, or they are nested more than %d deep", maxSubmodules, maxSubmoduleDepth)
	errOccupied  = errors.New("its path is not a folder of its own")
	errAbove     = errors.New("its address leads above the repository's host")
	errElsewhere = errors.New("it is of another host, and the pipeline takes submodules of the repository's own host alone")
)

const gitmodules = ".gitmodules"

// takeSubmodules checks out the submodules of a repository, each where its tree says.
func (c *checkout) takeSubmodules(ctx context.Context, cl *clone, commit string, to place, links []link) error {
	modules, err := cl.modules(ctx, commit)
	if err != nil {
		return &SubmoduleError{Path: path.Join(to.path, links[0].path), Place: path.Join(to.path, gitmodules), Err: err, Fix: "correct .gitmodules, and commit that"}
	}
	for _, l := range links {
		m := modules[l.path]
		if m.skipped {
			continue
		}
		fail := &SubmoduleError{Path: path.Join(to.path, l.path), URL: m.url, Place: path.Join(to.path, gitmodules)}
		if m.line > 0 {
			fail.Place += fmt.Sprintf(":%d", m.line)
		}
		if c.submodules++; c.submodules > maxSubmodules || to.depth == maxSubmoduleDepth {
			fail.Err, fail.Fix = errTooMany, "vendor what the build needs of them"
			return fail
		}
		w, err := c.way(ctx, cl, m, fail)
		if err == nil {
			err = vacant(to.dir, l.path)
		}
		if err == nil {
			err = c.take(ctx, w, l.commit, place{filepath.Join(to.dir, filepath.FromSlash(l.path)), path.Join(to.path, l.path), to.depth + 1})
		}
		if err != nil {
			if inner := new(SubmoduleError); errors.As(err, &inner) {
				return err
			}
			fail.Err = err
			return fail
		}
	}
	return nil
}

// vacant refuses a path that leads anywhere but to an empty folder in dir: a tree can be made that has a link on the way.
func vacant(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	at := ""
	for part := range strings.SplitSeq(name, "/") {
		at = path.Join(at, part)
		if info, err := root.Lstat(filepath.FromSlash(at)); err != nil || !info.IsDir() {
			return errOccupied
		}
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if names, _ := f.Readdirnames(1); len(names) > 0 {
		return errOccupied
	}
	return nil
}

// way finds the way to a submodule, if it may be taken.
func (c *checkout) way(ctx context.Context, parent *clone, m module, fail *SubmoduleError) (*way, error) {
	u, err := parent.submodule(m.url)
	if err != nil {
		fail.Fix = "give it an https address in .gitmodules, or one relative to the repository such as ../shared.git, and commit that"
		return nil, err
	}
	at, err := reach.ParsePlace(u)
	if err != nil {
		fail.Fix = "correct its address in .gitmodules, and commit that"
		return nil, fmt.Errorf("%w: %w", errNotRead, err)
	}
	r := Remote{URL: u.String(), Rules: c.own.Rules, By: reach.Stranger}
	own := c.own.place == at
	if own { // which the operator named, or who named the repository
		r.By = c.own.By
		if at.Host == sharing {
			r.Token = c.own.Token
		}
	}
	if c.policy == messages.SubmodulesSameHost && !own {
		fail.Fix = "take it from the repository's own host, vendor what the build needs of it, or let the pipeline's submodules be all"
		return nil, errElsewhere
	}
	w, err := r.open(ctx)
	if err == nil {
		w.nested = true
	}
	return w, err
}

// sharing is the host whose submodules are read with the repository's token, as its users know it from elsewhere. On other
// hosts it would read for people who can commit what they may not read themselves.
const sharing = "github.com"

// bySSH are the addresses that git reads by ssh: URLs, and USER@HOST:PATH.
var bySSH = regexp.MustCompile(`^(ssh|git\+ssh|ssh\+git)://|^[^/:]+@[^/:]+:|^[^-/:][^/:]*:[^/:]`)

// submodule reads the address of a submodule, which may be relative to the repository's own.
func (w *way) submodule(text string) (*url.URL, error) {
	switch {
	case text == "":
		return nil, errNoURL
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return nil, errNotRead
	case strings.HasPrefix(text, "./"), strings.HasPrefix(text, "../"), text == ".", text == "..":
		return w.relative(text)
	case bySSH.MatchString(text):
		return nil, errBySSH
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "" {
		return nil, errNotRead
	}
	if u.User != nil {
		return nil, fmt.Errorf("%w: it has a user or password in it", errNotRead)
	}
	return u, nil
}

// relative is an address that begins at the repository's own, as git has it: each .. takes one part off its end.
func (w *way) relative(text string) (*url.URL, error) {
	parts := strings.Split(strings.Trim(w.path, "/"), "/")
	for part := range strings.SplitSeq(strings.Trim(text, "/"), "/") {
		switch {
		case part == "." || part == "":
		case part != "..":
			parts = append(parts, part)
		case len(parts) == 0:
			return nil, errAbove
		default:
			parts = parts[:len(parts)-1]
		}
	}
	if len(parts) == 0 {
		return nil, errAbove
	}
	return &url.URL{Scheme: w.place.Scheme, Host: w.place.Address(), Path: "/" + strings.Join(parts, "/")}, nil
}

// module is what .gitmodules says of a submodule.
type module struct {
	url     string
	line    int  // of its url, or of its section; 0 where that isn't found
	skipped bool // by "update = none"
}

// modules reads .gitmodules, by the submodules' paths. git itself reads it; nothing that it says is run.
func (c *clone) modules(ctx context.Context, commit string) (map[string]module, error) {
	var kind, text, listed output
	if err := c.git(ctx, &kind, nil, "ls-tree", commit, "--", gitmodules); err != nil {
		return nil, err
	}
	if kind.String() == "" {
		return nil, nil
	}
	if !strings.HasPrefix(kind.String(), "100") {
		return nil, errors.New(".gitmodules is no file")
	}
	blob := commit + ":" + gitmodules
	if err := c.git(ctx, &text, nil, "cat-file", "blob", blob); err != nil {
		return nil, err
	}
	if err := c.git(ctx, &listed, nil, "config", "--blob", blob, "--list", "-z"); err != nil {
		return nil, fmt.Errorf(".gitmodules can't be read: %w", err)
	}
	if len(text.kept) == maxOutput || len(listed.kept) == maxOutput {
		return nil, errors.New(".gitmodules is too large")
	}
	return readModules(listed.kept, text.String()), nil
}

// readModules reads what git config lists, each entry KEY, a line feed, and the value.
func readModules(listed []byte, text string) map[string]module {
	type section struct{ path, url, update string }
	sections := map[string]*section{}
	for entry := range bytes.SplitSeq(listed, []byte{0}) {
		key, value, _ := strings.Cut(string(entry), "\n")
		rest, ok := strings.CutPrefix(key, "submodule.")
		dot := strings.LastIndexByte(rest, '.')
		if !ok || dot < 0 {
			continue
		}
		s := sections[rest[:dot]]
		if s == nil {
			s = new(section)
			sections[rest[:dot]] = s
		}
		switch rest[dot+1:] {
		case "path":
			s.path = strings.Trim(path.Clean("/"+value), "/")
		case "url":
			s.url = value
		case "update":
			s.update = value
		}
	}
	modules := map[string]module{}
	for name, s := range sections {
		modules[s.path] = module{url: s.url, line: lineOf(text, name), skipped: s.update == "none"}
	}
	return modules
}

var (
	sectionLine = regexp.MustCompile(`^\s*\[\s*(?i:submodule)\s+"((?:[^"\\]|\\.)*)"\s*\]`)
	otherLine   = regexp.MustCompile(`^\s*\[`)
	urlLine     = regexp.MustCompile(`^\s*(?i:url)\s*=`)
	escaped     = regexp.MustCompile(`\\(.)`)
)

// lineOf is the line of .gitmodules that has the url of a submodule, or that begins its section, or 0.
func lineOf(text, name string) int {
	line, at, inside := 0, 0, false
	for l := range strings.Lines(text) {
		line++
		if m := sectionLine.FindStringSubmatch(l); m != nil {
			if inside = escaped.ReplaceAllString(m[1], "$1") == name; inside && at == 0 {
				at = line
			}
		} else if otherLine.MatchString(l) {
			inside = false
		} else if inside && urlLine.MatchString(l) {
			at = line
		}
	}
	return at
}
