package messages

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// MaxNameLength is the longest a pipeline, fleet or node name may be, in bytes: the
// length of a DNS label (RFC 1035, section 2.3.4).
const MaxNameLength = 63

// CheckName tells whether name can name a pipeline, a fleet, a node or a prefix. Such
// names are subject tokens and parts of KV keys, so they are DNS labels (RFC 1123): lower-case
// letters, digits and inner hyphens. What says what kind of name it is, for the error.
func CheckName(what, name string) error {
	if name == "" {
		return fmt.Errorf("%s name is empty: give it a DNS label such as %q", what, "production")
	}
	if len(name) > MaxNameLength {
		return fmt.Errorf("%s name %.20q… has %d characters: use at most %d", what, name, len(name), MaxNameLength)
	}
	for i, r := range name {
		inner := i > 0 && i < len(name)-1
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' && inner {
			continue
		}
		return fmt.Errorf("%s name %q has %q at character %d: use lower-case letters, digits and inner hyphens", what, name, r, i+1)
	}
	return nil
}

// NewBuildID returns an ID for a new build of a pipeline: the pipeline's name and eight
// random characters, so that people can tell builds apart and no two are ever alike, even
// when a stream is made anew and its sequence numbers start over.
func NewBuildID(pipeline string) string { return pipeline + "-" + NewID() }

// NewID returns eight random characters of lower-case base 32 (40 bits).
func NewID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// CheckID tells whether id can be the ID of a build or a rollout: one subject token.
func CheckID(what, id string) error {
	if id == "" {
		return fmt.Errorf("%s ID is empty", what)
	}
	if len(id) > 200 {
		return fmt.Errorf("%s ID %.20q… has %d characters: use at most 200", what, id, len(id))
	}
	for _, r := range id {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			continue
		}
		return fmt.Errorf("%s ID %q has %q: IDs are lower-case letters, digits and hyphens", what, id, r)
	}
	return nil
}

// RolloutID names the passage of one build's image through one fleet. It is derived, so
// that opening a rollout twice opens it once.
func RolloutID(fleet, build string) string { return fleet + "-" + build }

// longForm is a regular expression with much to repeat. It takes tens of kilobytes once it is compiled, so that waits until it is used.
func longForm(form string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(form) })
}

var secretForm = longForm(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$`) //nolint:gochecknoglobals // a constant

// CheckCommit tells whether s is a full git object name: 40 hexadecimal digits (SHA-1) or
// 64 (SHA-256), lower case. BuildKit accepts no short ones. Zeros alone are git's word for none.
func CheckCommit(s string) error {
	if s != "" && strings.Trim(s, "0") == "" {
		return fmt.Errorf("commit %q is no commit: git writes zeros where there is none", clip(s))
	}
	if !hexadecimal(s, 40) && !hexadecimal(s, 64) {
		return fmt.Errorf("commit %q is not a full git commit: give all 40 (or 64) hexadecimal digits", clip(s))
	}
	return nil
}

// hexadecimal tells whether s is n lower-case hexadecimal digits.
func hexadecimal(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// CheckSecretName tells whether s can name a secret: the name of a file in a folder of
// secrets, so never a path.
func CheckSecretName(s string) error {
	if !secretForm().MatchString(s) {
		return fmt.Errorf("secret name %q is not a plain file name of letters, digits, '.', '_' and '-'", clip(s))
	}
	return nil
}
