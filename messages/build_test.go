package messages

import (
	"testing"
)

func TestFindingString(t *testing.T) {
	f := Finding{File: "pre-running", Line: 3, Problem: "if without fi", Fix: "add fi"}
	if got := f.String(); got != "pre-running:3: if without fi; add fi" {
		t.Errorf("got %s", got)
	}
	f.Line, f.Fix = 0, ""
	if got := f.String(); got != "pre-running: if without fi" {
		t.Errorf("got %s", got)
	}
}
