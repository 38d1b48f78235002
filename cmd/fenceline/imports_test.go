package main

import (
	"errors"
	"go/build"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/fenceline/fenceline/"

// rules says who may import what: the packages below a folder, or a client that has one place.
var rules = []struct {
	pkg    string   // and all below it
	places []string // folders that may import it; none where empty
}{
	{"github.com/nats-io/nats.go", []string{"messages/queue", "fence/natskv", "standalone"}},
	{"github.com/nats-io/nats-server/v2", []string{"messages/queue/queuetest", "standalone"}},
	{"github.com/moby/buildkit/client", []string{"builder/buildkit"}},
	{"github.com/moby/moby/client", []string{"distributor/docker"}},
	{module + "producer", []string{"producer", "cli", "cmd/fenceline"}},
	{module + "builder", []string{"builder", "cli", "cmd/fenceline"}},
	{module + "distributor", []string{"distributor", "cli", "cmd/fenceline"}},
	{module + "controller", []string{"controller", "cli", "cmd/fenceline"}},
	{module + "fence", []string{"fence", "controller", "cli", "cmd/fenceline"}},
	{module + "cmd", nil},
	{module + "e2e", nil},
}

// TestDirectionsOfImport keeps the roles apart, and each client in its place.
func TestDirectionsOfImport(t *testing.T) {
	const root = "../.."
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); strings.HasPrefix(name, ".") && path != root || name == "testdata" || name == "tools" {
			return fs.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		var none *build.NoGoError
		if errors.As(err, &none) {
			return nil
		}
		if err != nil {
			return err
		}
		seen++
		folder, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, imported := range p.Imports {
			if why := forbidden(filepath.ToSlash(folder), imported); why != "" {
				t.Errorf("%s imports %s: %s", folder, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d packages were seen", seen)
	}
}

// forbidden tells why a folder may not import a package, or "".
func forbidden(folder, imported string) string {
	for _, r := range rules {
		if !within(imported, r.pkg) {
			continue
		}
		for _, place := range r.places {
			if within(folder, place) {
				return ""
			}
		}
		if len(r.places) == 0 {
			return "nothing may"
		}
		return "only " + strings.Join(r.places, ", ") + " may"
	}
	return ""
}

func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
