package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestNoDurationIsNegative tries every flag of every command that takes one, and numbers likewise.
func TestNoDurationIsNegative(t *testing.T) {
	seen := 0
	walkCommands(newRoot(), func(c *cobra.Command, name string) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() != "duration" {
				return
			}
			seen++
			for _, bad := range []string{"-5s", "-1ns", "-1d", "5", "", "soon", "1d-2h", "9999999999h"} {
				if err := f.Value.Set(bad); err == nil {
					t.Errorf("fenceline %s --%s=%s is taken", name, f.Name, bad)
				}
			}
			for _, good := range []string{"0s", "90s", "7d", "1d12h"} {
				if err := f.Value.Set(good); err != nil {
					t.Errorf("fenceline %s --%s=%s: %v", name, f.Name, good, err)
				}
			}
		})
	})
	for _, args := range [][]string{
		{"run", "builder", "--slots", "0"}, {"run", "builder", "--slots=-1"}, {"run", "controller", "--replicas=-1"}, {"run", "distributor", "--min-free-bytes=-1"},
	} {
		if s := fenceline(t, args...); s.status != 2 || !strings.Contains(s.err, "or more") {
			t.Errorf("fenceline %v: %+v", args, s)
		}
	}
	if seen < 8 {
		t.Errorf("only %d flags were seen", seen)
	}
}
