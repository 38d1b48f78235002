package git

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestVersionsAreInTheOrderOfTheirNumbers(t *testing.T) {
	want := []string{
		"", "1", "refs/heads/a", "refs/heads/a1", "refs/heads/a01b", "refs/heads/a1b", "refs/heads/b", "refs/tags/2024-01-09", "refs/tags/2024-1-10", "refs/tags/v1", "refs/tags/v1-rc1",
		"refs/tags/v1.2", "refs/tags/v1.2.3", "refs/tags/v1.9", "refs/tags/v1.10", "refs/tags/v1.99999999999999999999", "refs/tags/v1.100000000000000000000", "refs/tags/v2", "refs/tags/vX",
	}
	got := slices.Clone(want)
	for range 50 {
		rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, compareVersions)
		if !slices.Equal(got, want) {
			t.Fatalf("%q\nwant %q", got, want)
		}
	}
}
