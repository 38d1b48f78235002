package settings

import (
	"strings"
	"testing"
)

func TestHostLabel(t *testing.T) {
	if l := HostLabel(); l == "" || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		t.Errorf("this machine's label is %q", l)
	}
}
