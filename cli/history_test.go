package cli

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence"
)

// TestNoHistory has a backend that remembers no earlier values.
func TestNoHistory(t *testing.T) {
	forgetful := struct{ fence.Backend }{}
	if _, err := historyOf(t.Context(), forgetful, "production"); err == nil || !strings.Contains(err.Error(), "production: its fence config remembers no earlier values") {
		t.Errorf("it says %v", err)
	}
}
