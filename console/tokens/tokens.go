package tokens

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Role is what a person may do in the console.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // sees everything
	Operator Role = "operator" // and decides
)

// Roles lists the roles.
func Roles() []Role { return []Role{Viewer, Operator} }

// CheckRole refuses what is no role.
func CheckRole(r Role) error {
	if !slices.Contains(Roles(), r) {
		return fmt.Errorf("there is no role %q: give %s or %s", messages.Shorten(string(r), nameMost), Viewer, Operator)
	}
	return nil
}

// nameMost is the longest name of a person, in bytes.
const nameMost = 63

// CheckName refuses what can't name a person: names stand in records and logs.
func CheckName(name string) error {
	if name == "" {
		return errors.New("the name is empty: give that of the person, such as ada or ada@example.com")
	}
	if len(name) > nameMost {
		return fmt.Errorf("name %.20q… has %d characters: use at most %d", name, len(name), nameMost)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-@+", r):
		default:
			return fmt.Errorf("name %q has %q: use letters, digits and ._-@+", name, r)
		}
	}
	return nil
}

// Entry is a line of the file.
type Entry struct {
	Name   string
	Role   Role
	Digest [sha256.Size]byte // SHA-256 of the token, which has 256 random bits: nothing slower guards it better
	Made   time.Time
}

// prefix begins every token, so that one which strayed is recognised.
const prefix = "fenceline_"

// Make makes a token for a person, and its line.
func Make(name string, role Role, now time.Time) (messages.Secret, Entry, error) {
	if err := errors.Join(CheckName(name), CheckRole(role)); err != nil {
		return messages.Secret{}, Entry{}, err
	}
	token := prefix + hex.EncodeToString(random())
	return messages.NewSecret(token), Entry{name, role, sha256.Sum256([]byte(token)), now.UTC().Truncate(time.Second)}, nil
}

func random() []byte {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return b[:]
}

// String is the entry's line.
func (e Entry) String() string {
	return fmt.Sprintf("%s %s sha256:%x %s", e.Name, e.Role, e.Digest, e.Made.Format(time.RFC3339))
}

// Find is whose a token is. All are compared, so that the time doesn't tell which is near.
func Find(all []Entry, token string) (Entry, bool) {
	have := sha256.Sum256([]byte(strings.TrimSpace(token)))
	var found Entry
	known := 0
	for _, e := range all {
		if same := subtle.ConstantTimeCompare(have[:], e.Digest[:]); same == 1 {
			found, known = e, same
		}
	}
	return found, known == 1
}

// lineMost is the longest line of the file, in bytes.
const lineMost = 1000

// Parse reads the lines of a file. What is wrong is told by its line.
func Parse(text string) ([]Entry, error) {
	var out []Entry
	var wrong []error
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := parseLine(line)
		if err == nil && slices.ContainsFunc(out, func(o Entry) bool { return o.Name == e.Name }) {
			err = fmt.Errorf("%s has a line already: delete one of them", e.Name)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", n+1, err))
			continue
		}
		out = append(out, e)
	}
	return out, errors.Join(wrong...)
}

func parseLine(line string) (e Entry, err error) {
	if len(line) > lineMost {
		return e, fmt.Errorf("it has %d bytes: a line is NAME ROLE sha256:DIGEST TIME, as 'fenceline console token' writes it", len(line))
	}
	words := strings.Fields(line)
	if len(words) != 4 {
		return e, fmt.Errorf("it has %d words: a line is NAME ROLE sha256:DIGEST TIME, as 'fenceline console token' writes it", len(words))
	}
	e.Name, e.Role = words[0], Role(words[1])
	if err := errors.Join(CheckName(e.Name), CheckRole(e.Role)); err != nil {
		return e, err
	}
	digest, err := hex.DecodeString(strings.TrimPrefix(words[2], "sha256:"))
	if err != nil || len(digest) != sha256.Size || !strings.HasPrefix(words[2], "sha256:") {
		return e, fmt.Errorf("the digest of %s is not sha256: and 64 hexadecimal digits: have 'fenceline console token' make it anew", e.Name)
	}
	copy(e.Digest[:], digest)
	if e.Made, err = time.Parse(time.RFC3339, words[3]); err != nil {
		return e, fmt.Errorf("the time of %s, %q, is not as 2026-01-31T12:00:00Z", e.Name, messages.Shorten(words[3], nameMost))
	}
	return e, nil
}
