package producer

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const otherCommit = "89abcdef0123456789abcdef0123456789abcdef"

// TestWhatAPushTells has payloads that forges share, and what is read of them.
func TestWhatAPushTells(t *testing.T) {
	zero := strings.Repeat("0", 40)
	payload := func(fields string) string {
		return `{"repository":{"clone_url":"` + baseURL + `"},"pusher":{"name":"ada"},` + fields + `}`
	}
	commits := `"commits":[{"id":"` + otherCommit + `","message":"One","added":["a"],"removed":["b"],"modified":[]},{"id":"` + testCommit + `","message":"Two\n\n[skip ci]","modified":["c"]}]`
	head := `"head_commit":{"id":"` + testCommit + `","message":"Two\n\n[skip ci]"}`
	for name, c := range map[string]struct {
		body string
		want event
	}{
		"a push": {
			payload(`"ref":"refs/heads/main","before":"` + otherCommit + `","after":"` + testCommit + `","forced":false,` + head + `,` + commits),
			event{ref: mainRef, before: otherCommit, commit: testCommit, message: "Two\n\n[skip ci]", paths: files("a", "b", "c"), pathsComplete: true},
		},
		"a push of a forge that doesn't say whether commits were dropped": {
			payload(`"ref":"refs/heads/main","before":"` + otherCommit + `","after":"` + testCommit + `",` + commits),
			event{ref: mainRef, before: otherCommit, commit: testCommit, message: "Two\n\n[skip ci]", paths: files("a", "b", "c")},
		},
		"a forced push": {
			payload(`"ref":"refs/heads/main","before":"` + otherCommit + `","after":"` + testCommit + `","forced":true,"commits":[]`),
			event{ref: mainRef, before: otherCommit, commit: testCommit, forced: true},
		},
		"a new branch": {
			payload(`"ref":"refs/heads/main","before":"` + zero + `","after":"` + testCommit + `","created":true,"forced":false,` + commits),
			event{ref: mainRef, before: zero, commit: testCommit, message: "Two\n\n[skip ci]", paths: files("a", "b", "c")},
		},
		"a branch that is gone": {
			payload(`"ref":"refs/heads/main","before":"` + otherCommit + `","after":"` + zero + `","deleted":true,"forced":false,"head_commit":null,"commits":[]`),
			event{ref: mainRef, before: otherCommit, deleted: true},
		},
		"an annotated tag": {
			payload(`"ref":"refs/tags/v1","before":"` + zero + `","after":"` + otherCommit + `","created":true,"forced":false,` + head + `,"commits":[]`),
			event{ref: "refs/tags/v1", before: zero, commit: testCommit, message: "Two\n\n[skip ci]"},
		},
		"a tag that is gone": {
			payload(`"ref":"refs/tags/v1","before":"` + otherCommit + `","after":"` + zero + `","deleted":true,"commits":null`),
			event{ref: "refs/tags/v1", before: otherCommit, deleted: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.repositories, c.want.pusher = []string{baseURL}, "ada"
			got, err := readPush([]byte(c.body))
			if err == nil && len(got) == 1 && len(got[0].paths) > 0 {
				got[0].paths = files(slices.Collect(got[0].paths.all())...) // however many lists they are in
			}
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], c.want) {
				t.Errorf("%v\n got %+v\nwant %+v", err, got, c.want)
			}
		})
	}
}

// TestLongListsOfCommitsAndFilesAreNotTakenForComplete: GitHub cuts them.
func TestLongListsOfCommitsAndFilesAreNotTakenForComplete(t *testing.T) {
	no := false
	long := make([]string, githubMostFiles)
	for name, l := range map[string]commits{
		"none": nil, "as many commits as it lists": make(commits, githubMostCommits), "as many files as it lists": {{Added: files(long[1:]...)[0], Modified: files("a")[0]}},
	} {
		if p := (push{Forced: &no, Commits: l}); p.complete() {
			t.Errorf("%s: complete", name)
		}
	}
	if p := (push{Forced: &no, Commits: commits{{Added: files("a")[0]}}}); !p.complete() {
		t.Error("one commit of one file is not complete")
	}
}
