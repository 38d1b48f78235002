package main

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/metrics"
)

// TestMetricsPageIsCurrent compares the table in docs/metrics.md with what the code declares, or writes it with -update.
func TestMetricsPageIsCurrent(t *testing.T) {
	const begin, end = "<!-- made of the code by `make reference` -->\n", "<!-- end -->\n"
	page := readDoc(t, "docs/metrics.md")
	before, rest, found := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("docs/metrics.md has no place for the table: %s and %s", begin, end)
	}
	clitest.Golden(t, "../../docs/metrics.md", before+begin+metrics.Page()+end+after)
}
