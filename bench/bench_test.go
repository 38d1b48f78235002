package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPairsAlternate(t *testing.T) {
	var order strings.Builder
	side := func(name string, d time.Duration) func(context.Context) (time.Duration, error) {
		return func(context.Context) (time.Duration, error) {
			order.WriteString(name)
			return d, nil
		}
	}
	a, b, err := pairs(t.Context(), 3, side("a", 1), side("b", 2))
	if err != nil || order.String() != "abbaabba" {
		t.Errorf("the order is %s, %v", order.String(), err)
	}
	if len(a) != 3 || len(b) != 3 || median(a) != 1 || median(b) != 2 {
		t.Errorf("got %v and %v", a, b)
	}
}

func TestReportReplacesAFigure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "results.json")
	var out bytes.Buffer
	for _, f := range []Figure{{Name: "x", Value: 1}, {Name: "y", Value: 2}, {Name: "x", Value: 3}} {
		if err := report(f, file, &out); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 3 {
		t.Errorf("%d lines are printed, want one for each figure", n)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kept []Figure
	if err := json.Unmarshal(b, &kept); err != nil || len(kept) != 2 || kept[0].Name != "y" || kept[1].Value != 3 {
		t.Errorf("kept are %+v, %v", kept, err)
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != len(measures()) {
		t.Errorf("got %d, %v", len(all), err)
	}
	if one, err := choose("intake_ratio"); err != nil || len(one) != 1 {
		t.Errorf("got %d, %v", len(one), err)
	}
	if _, err := choose("speed"); err == nil || !strings.Contains(err.Error(), "intake_ratio") {
		t.Errorf("an unknown name gives %v", err)
	}
}
