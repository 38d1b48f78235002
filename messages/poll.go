package messages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sort"
	"time"
)

// RepositoryPoll is what producers saw last of a repository, in the triggers bucket under its PollKey. It is written
// when that has changed.
type RepositoryPoll struct {
	Repository string `json:"repository"`
	TokenName  string `json:"token,omitempty"` // of the secret that it is read with
	// Branches and Tags tell that all of them were looked at: what is not among Seen is new then.
	Branches bool     `json:"branches,omitempty"`
	Tags     bool     `json:"tags,omitempty"`
	Seen     SeenRefs `json:"seen,omitempty"`
	// Problem is why pushes may be missed, since when.
	Problem string    `json:"problem,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Writer  string    `json:"writer"` // random, to recognise an own write whose answer was lost
}

// PollKey is the key of a repository's RepositoryPoll, which is read with a secret of some name. Addresses have characters
// that keys don't take.
func PollKey(repository, tokenName string) string {
	sum := sha256.Sum256([]byte(repository + "\n" + tokenName))
	return "poll." + hex.EncodeToString(sum[:16])
}

// SeenRefs are branches and tags, each with the commit at which it was seen: so much of a digest of both as tells them
// apart, in order. A record holds those of a large repository.
type SeenRefs []byte

const (
	// seenBytes is how much is kept of each.
	seenBytes = 6
	// seenMost is how many are kept; then those that are there no longer go. A repository has that many branches and tags, or
	// its branches had them in the course of years.
	seenMost = 40_000
	// seenBound is how many fit into a record, of 1 MB in base64.
	seenBound = 120_000
)

func seenOf(ref, commit string) []byte {
	sum := sha256.Sum256([]byte(ref + "\x00" + commit))
	return sum[:seenBytes]
}

func (s SeenRefs) len() int { return len(s) / seenBytes }

func (s SeenRefs) at(i int) []byte { return s[i*seenBytes : (i+1)*seenBytes] }

// Has tells whether a branch or tag, by its full name, was seen at a commit.
func (s SeenRefs) Has(ref, commit string) bool {
	want := seenOf(ref, commit)
	i := sort.Search(s.len(), func(i int) bool { return bytes.Compare(s.at(i), want) >= 0 })
	return i < s.len() && bytes.Equal(s.at(i), want)
}

// With are those of s, and others, commits by full names. What is there no longer stays, as a host that shows less for a
// while is no reason to take for new what it shows then; but where there are too many.
func (s SeenRefs) With(refs map[string]string) SeenRefs {
	all := make([][]byte, 0, s.len()+len(refs))
	for ref, commit := range refs {
		all = append(all, seenOf(ref, commit))
	}
	if s.len()+len(refs) <= max(seenMost, 2*len(refs)) {
		for i := range s.len() {
			all = append(all, s.at(i))
		}
	}
	slices.SortFunc(all, bytes.Compare)
	all = slices.CompactFunc(all, bytes.Equal)
	if len(all) > seenBound && s.len() > 0 {
		return SeenRefs(nil).With(refs)
	}
	return slices.Concat(all...)
}

// Trouble sets what is wrong, or that nothing is ("").
func (p *RepositoryPoll) Trouble(problem string, now time.Time) {
	p.Problem = Shorten(problem, pollProblemLimit)
	if problem == "" {
		p.Since = time.Time{}
		return
	}
	if p.Since.IsZero() {
		p.Since = now.UTC()
	}
}

// pollProblemLimit bounds what is kept of why a repository can't be looked at, in bytes.
const pollProblemLimit = 1000

// Differs tells whether two say something else.
func (p *RepositoryPoll) Differs(o *RepositoryPoll) bool {
	return p.Problem != o.Problem || p.Branches != o.Branches || p.Tags != o.Tags || !bytes.Equal(p.Seen, o.Seen)
}
