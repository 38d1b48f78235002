package controller_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
)

// TestAStoreSlowerThanTheLeaseSaysWhatMendsIt has one place after another take longer than a call may.
func TestAStoreSlowerThanTheLeaseSaysWhatMendsIt(t *testing.T) {
	for _, kind := range []string{messages.FenceExec, messages.FenceKato} {
		t.Run(kind, func(t *testing.T) {
			program := t.TempDir() + "/slow"
			if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			b, err := backends.New(backends.Config{Kato: program, FenceGet: program + " get {fleet}", FenceSet: program + " set {fleet}"})
			if err != nil {
				t.Fatal(err)
			}
			i := install(t)
			i.controller(t, "c1", func(c *controller.Config) { c.Backend, c.LeaseTTL = b.Factory(c.Queue), 2*time.Second })
			startNode(t, i.q, "default", "n1")
			i.members(t, 1)
			i.announce(t, 1, target("default", func(p *messages.Policy) { p.Fence = kind }))
			i.fleet(t, "default", "to say that the lease is too short", func(r messages.FleetRecord) bool {
				return r.Epoch == 1 && strings.Contains(r.Applied.Error, "half of the controllers' lease of 2s: a store that is slower takes a longer lease")
			})
		})
	}
}
