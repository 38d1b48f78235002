package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

// What a word can mean.
const (
	kindCommit = "commit"
	kindImage  = "image"
	kindBase   = "base"
	kindBuild  = "build"
	kindNode   = "node"
)

// meaning is something that a word can mean.
type meaning struct{ kind, value string }

func (m meaning) String() string { return m.kind + " " + m.value }

// The shortest beginnings of a commit or digest, and of a build's ID, that are taken for one.
const (
	leastHex   = 4
	leastBuild = 4
	// candidatesMost is how many meanings of a word an error lists.
	candidatesMost = 10
)

// find says what a word means: a build, an image by its digest, a base that builds took, a commit, or a node. What it is in full
// goes before what it begins.
func (r *Records) find(word string) (meaning, error) {
	exact, begun := map[meaning]bool{}, map[meaning]bool{}
	see := func(kind, value, said string, least int) {
		switch {
		case value == "":
		case value == said:
			exact[meaning{kind, value}] = true
		case len(said) >= least && strings.HasPrefix(value, said):
			begun[meaning{kind, value}] = true
		}
	}
	digest := "sha256:" + strings.TrimPrefix(cmp.Or(digestOf(word), word), "sha256:")
	hex := strings.ToLower(word)
	least := len("sha256:") + leastHex
	for _, b := range r.Builds {
		see(kindBuild, b.Build, word, leastBuild)
		see(kindCommit, b.Commit, hex, leastHex)
		see(kindImage, b.Image.Digest(), digest, least)
		if ready := overview.MadeBy(&b); ready != nil {
			for _, base := range ready.Bases {
				see(kindBase, base.Image.Digest(), digest, least)
			}
		}
	}
	for _, q := range r.Queued {
		see(kindBuild, q.Build, word, leastBuild)
		see(kindCommit, q.Commit, hex, leastHex)
	}
	for _, ro := range r.Rollouts { // a build's record may be gone
		see(kindBuild, ro.Ready.Build, word, leastBuild)
		see(kindCommit, ro.Ready.Commit, hex, leastHex)
		see(kindImage, ro.Ready.Image.Digest(), digest, least)
	}
	for _, f := range r.Fleets { // nor the rollout's be there
		for _, i := range f.Wanted() {
			see(kindImage, i.Digest(), digest, least)
		}
	}
	for _, key := range r.members() {
		_, node, _ := strings.Cut(key, ".")
		see(kindNode, key, word, len(key)+1)
		if node == word {
			exact[meaning{kindNode, key}] = true
		}
	}
	return r.choose(word, exact, begun)
}

// members are all nodes that are known, as FLEET.NODE.
func (r *Records) members() []string {
	all := slices.Clone(r.Members)
	for key := range r.Nodes {
		all = append(all, key)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (r *Records) choose(word string, exact, begun map[meaning]bool) (meaning, error) {
	from := exact
	if len(from) == 0 {
		from = begun
	}
	for m := range from { // an image that others are built on is asked about as the image
		if m.kind == kindBase && from[meaning{kindImage, m.value}] {
			delete(from, m)
		}
	}
	var all []string
	var one meaning
	for m := range from {
		all, one = append(all, m.String()), m
	}
	slices.Sort(all)
	switch n := len(all); {
	case n == 1:
		return one, nil
	case n == 0:
		return one, fmt.Errorf("there is no commit, image, base, build or node %q: %s were searched; records of what has ended are kept for %s",
			word, r.searched(), r.kept())
	case n > candidatesMost:
		all = append(all[:candidatesMost], fmt.Sprintf("%d more", n-candidatesMost))
	}
	return one, fmt.Errorf("%q can be any of: %s; give more of it", word, strings.Join(all, ", "))
}

func (r *Records) searched() string {
	return fmt.Sprintf("%d records of builds, %d queued ones, %d rollouts, %d fleets and %d nodes",
		len(r.Builds), len(r.Queued), len(r.Rollouts), len(r.Fleets), len(r.members()))
}

// kept is how long records are kept, for people.
func (r *Records) kept() string {
	if r.Kept == 0 {
		return "ever"
	}
	return messages.Duration(r.Kept).String()
}
