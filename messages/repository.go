package messages

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckRepository tells whether s is a URL that a builder may clone. Userinfo is refused:
// it would show in provenance and progress.
func CheckRepository(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.HasPrefix(u.Host, "-") || len(s) > 2000 {
		return fmt.Errorf("%q is not a git URL such as %q", clip(redactURL(s)), "https://git.example.com/ops/base.git")
	}
	if u.Scheme == "ssh" {
		return fmt.Errorf("%q is for ssh, which builders don't read: give its https address, and name a token for it", clip(shown(u)))
	}
	if u.User != nil {
		return fmt.Errorf("%q has a user or password in it: put the credential into a secret file and name it", clip(shown(u)))
	}
	switch u.Scheme {
	case "http", "https", "git":
	default:
		return fmt.Errorf("%q has scheme %q: use https, http or git", clip(shown(u)), u.Scheme)
	}
	if !strings.HasSuffix(u.Path, ".git") {
		return fmt.Errorf("%q must end in .git, or BuildKit takes it for a plain download", clip(shown(u)))
	}
	if strings.ContainsAny(s, "?#") {
		return fmt.Errorf("%q has a query or fragment: give the branch and directory in fields of their own", clip(shown(u)))
	}
	return nil
}

// shown is u for an error: without what may be a credential. A user alone may be one, as in
// https://TOKEN@host, except over ssh.
func shown(u *url.URL) string {
	v := *u
	if v.User != nil && (v.Scheme != "ssh" || hasPassword(u)) {
		v.User = url.User("redacted")
	}
	if v.RawQuery != "" {
		v.RawQuery = "redacted"
	}
	if v.Fragment != "" {
		v.Fragment, v.RawFragment = "redacted", ""
	}
	return v.String()
}

func hasPassword(u *url.URL) bool { _, ok := u.User.Password(); return ok }

// redactURL hides what may be userinfo in something that is no URL.
func redactURL(s string) string {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// Where git keeps branches and tags.
const (
	BranchRefs = "refs/heads/"
	TagRefs    = "refs/tags/"
)

// ShownRef is a full ref for people: a branch by its name, a tag as "tag NAME".
func ShownRef(ref string) string {
	if tag, ok := strings.CutPrefix(ref, TagRefs); ok {
		return "tag " + tag
	}
	return strings.TrimPrefix(ref, BranchRefs)
}

// maxBranchBytes is what the longest path of a file leaves for a ref: git keeps refs as files.
const maxBranchBytes = 4000

// CheckBranch tells whether s can be a branch, by the rules of git check-ref-format for
// refs/heads/s. Odd names are legal, such as -x and refs/heads/x: who hands a branch to a program
// gives its full ref.
func CheckBranch(s string) error {
	if len(s) > maxBranchBytes {
		return fmt.Errorf("branch %q has %d bytes, and git takes some %d at most", clip(s), len(s), maxBranchBytes)
	}
	bad := s == "" || !utf8.ValidString(s) || strings.HasSuffix(s, ".") || strings.Contains(s, "..") || strings.Contains(s, "@{") ||
		strings.ContainsAny(s, " ~^:?*[\\\x7f") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' })
	for part := range strings.SplitSeq(s, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%q is not a branch name such as %q", clip(s), DefaultBranch)
	}
	return nil
}

// WrittenBranch is the branch that a person means who writes s. A full ref is refused, since it is
// mostly a mistake for the name alone; but a branch whose own name begins with refs/ is written so.
func WrittenBranch(s string) (string, error) {
	const heads, refs = "refs/heads/", "refs/"
	name, full := strings.CutPrefix(s, heads)
	switch {
	case full && strings.HasPrefix(name, refs):
		return name, CheckBranch(name)
	case full && CheckBranch(name) == nil:
		return "", fmt.Errorf("%q is a full ref: write %s (or %s, if that is the branch's own name)", clip(s), clip(name), clip(heads+s))
	case strings.HasPrefix(s, refs):
		return "", fmt.Errorf("%q is no branch: write one's name such as %s (or %s, if that is the branch's own name)", clip(s), DefaultBranch, clip(heads+s))
	}
	return s, CheckBranch(s)
}

// checkInside refuses a path that leaves the folder it is relative to.
func checkInside(p string) error {
	if clean := path.Clean(p); path.IsAbs(p) || clean == ".." || strings.HasPrefix(clean, "../") {
		return fmt.Errorf("%q leaves the repository: give a path inside it", clip(p))
	}
	if strings.ContainsAny(p, "#?&") || strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("%q has a character that can't be in a path here", clip(p))
	}
	return nil
}

// checkHooksDir refuses what is not a plain absolute path inside an image.
func checkHooksDir(p string) error {
	if !path.IsAbs(p) || slices.Contains(strings.Split(p, "/"), "..") || strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("%q is not an absolute path inside the image such as %q", clip(p), DefaultHooksDir)
	}
	return nil
}
