package docs

import (
	"errors"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fenceline/fenceline/"

// rule says which folders may import a package and all below it. Folders stand for all below them.
type rule struct {
	pkg    string
	places []string // none where nothing may
	tests  bool     // tests may import it wherever they are
}

// rules are all there is to say about who imports what: a client library has one place, roles never
// import each other, and commands stand on everything while nothing stands on them.
var rules = []rule{
	{"github.com/nats-io/nats.go", []string{"messages/queue", "standalone"}, true},
	{"github.com/nats-io/nats-server/v2", []string{"messages/queue/queuetest", "standalone"}, true},
	{"github.com/moby/buildkit/client", []string{"builder/buildkit", "builder/dockerfile"}, false},
	{"github.com/moby/moby/client", []string{"distributor/docker"}, false},
	{"go.opentelemetry.io", []string{"tracing"}, false},
	{"github.com/spf13/cobra", []string{"cli", "cmd"}, false},
	{"github.com/spf13/pflag", []string{"cli", "cmd"}, false},
	{module + "producer", []string{"producer", "cli", "cmd", "docs"}, false},
	{module + "builder", []string{"builder", "cli", "cmd"}, false},
	{module + "distributor", []string{"distributor", "cli", "cmd", "bench"}, false},
	{module + "controller/people", []string{"controller/people", "cli", "console"}, true},
	{module + "controller/decide", []string{"controller", "cli", "cmd", "overview", "console"}, false},
	{module + "controller", []string{"controller", "cli", "cmd", "console/browser"}, false},
	{module + "builds", []string{"builds", "producer", "builder", "overview", "console", "cli", "cmd", "bench"}, true},
	{module + "registries", []string{"producer/registry", "builder/buildkit", "imagediff"}, false},
	{"github.com/containerd/containerd/v2/core/remotes/docker", []string{"registries", "producer/registry", "builder/buildkit", "imagediff"}, false},
	{module + "imagediff/packagedb", []string{"imagediff"}, true},
	{module + "imagediff", []string{"imagediff", "console", "cli", "cmd"}, false},
	{"github.com/drone/go-scm", []string{"statuses"}, false},
	{"github.com/prometheus/client_golang", []string{"metrics"}, false},
	{module + "statuses/target", []string{"statuses", "producer", "cli", "cmd"}, false},
	{module + "statuses", []string{"statuses", "cli", "cmd"}, false},
	{"github.com/coreos/go-oidc", []string{"console/oidc"}, false},
	{"github.com/zitadel/oidc", []string{"console/oidc/oidctest"}, false},
	{module + "console/oidc/oidctest", []string{"cmd"}, true},
	{module + "sinks/form", []string{"sinks", "producer", "cli", "cmd"}, false},
	{module + "sinks", []string{"sinks", "cli", "cmd"}, false},
	{module + "console/tokens", []string{"console", "cli", "cmd", "bench"}, false},
	{module + "console", []string{"console", "cli", "cmd"}, false},
	{module + "overview", []string{"overview", "console", "cli", "cmd"}, false},
	{module + "signer", []string{"signer", "cmd"}, false},
	{module + "fence/natskv", []string{"fence/natskv", "fence/backends"}, true},
	{"github.com/redis/go-redis", []string{"fence/confdis"}, false},
	{module + "fence/confdis/redistest", []string{"bench"}, true},
	{module + "fence/confdis", []string{"fence/confdis", "fence/backends"}, true},
	{module + "fence/exec", []string{"fence/exec", "fence/backends"}, true},
	{module + "fence/kato", []string{"fence/kato", "fence/backends"}, true},
	{module + "fence/program", []string{"fence/exec", "fence/kato"}, false},
	{module + "fence/backends", []string{"fence/backends", "overview", "cli", "cmd"}, true},
	{module + "fence", []string{"fence", "controller", "overview", "cli", "cmd"}, true},
	{module + "cli/pki", []string{"cli"}, false},
	{module + "cli", []string{"cli", "cmd"}, false},
	{module + "cmd", nil, false},
	{module + "e2e", []string{"e2e"}, true},
}

// TestDirectionsOfImport holds every package to the rules, and its tests.
func TestDirectionsOfImport(t *testing.T) {
	seen := 0
	packages(t, func(folder string, p *build.Package) {
		seen++
		for _, imported := range p.Imports {
			if why := forbidden(folder, imported, false); why != "" {
				t.Errorf("%s imports %s: %s", folder, imported, why)
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			if why := forbidden(folder, imported, true); why != "" {
				t.Errorf("a test in %s imports %s: %s", folder, imported, why)
			}
		}
	})
	if seen < 20 {
		t.Errorf("only %d packages were seen", seen)
	}
}

// TestTheContractImportsNothing: any program may read messages, so they must not bring a library
// along.
func TestTheContractImportsNothing(t *testing.T) {
	p, err := build.ImportDir("../messages", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range p.Imports {
		if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") {
			t.Errorf("messages imports %s: only the standard library is allowed", imported)
		}
	}
}

// TestMetricsRestOnNothing: every role has metrics, so that they must not bring a role along.
func TestMetricsRestOnNothing(t *testing.T) {
	p, err := build.ImportDir("../metrics", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range p.Imports {
		if strings.HasPrefix(imported, module) {
			t.Errorf("metrics imports %s: nothing of this module is allowed", imported)
		}
	}
}

// packages calls do for each package of this module, with its folder.
func packages(t *testing.T, do func(folder string, p *build.Package)) {
	t.Helper()
	const root = ".."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); strings.HasPrefix(name, ".") && path != root || name == "testdata" || name == "tools" {
			return fs.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		var none *build.NoGoError
		if errors.As(err, &none) && len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			return nil
		}
		if err != nil && none == nil {
			return err
		}
		folder, err := filepath.Rel(root, path)
		if err == nil {
			do(filepath.ToSlash(folder), p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDecisionsRestOnNothing: what comes next for a fleet is decided from what is given, so that two
// controllers with the same state decide the same.
func TestDecisionsRestOnNothing(t *testing.T) {
	p, err := build.ImportDir("../controller/decide", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, imported := range p.Imports {
		if strings.HasPrefix(imported, module) && imported != module+"messages" {
			t.Errorf("controller/decide imports %s: only messages is allowed", imported)
		}
	}
}

// forbidden tells why a folder, or its tests, may not import a package, or "".
func forbidden(folder, imported string, inTest bool) string {
	for _, r := range rules {
		if !within(imported, r.pkg) {
			continue
		}
		if inTest && r.tests || slices.ContainsFunc(r.places, func(place string) bool { return within(folder, place) }) {
			return ""
		}
		if len(r.places) == 0 {
			return "nothing may"
		}
		return "only " + strings.Join(r.places, ", ") + " may"
	}
	return ""
}

func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// TestEveryPackageListsItsFiles: a package's doc.go, or a program's main.go, is where a newcomer begins,
// so it names each file of the package, and none that is not there.
func TestEveryPackageListsItsFiles(t *testing.T) {
	named := regexp.MustCompile(`\b[a-z][a-z0-9_]*\.go\b`)
	packages(t, func(folder string, p *build.Package) {
		if len(p.GoFiles) < 3 { // with its doc.go and one file there is nothing to order
			return
		}
		begin := "doc.go"
		if p.Name == "main" {
			begin = "main.go"
		}
		doc, err := os.ReadFile(filepath.Join("..", folder, begin))
		if err != nil {
			t.Errorf("%s has no %s that lists its files", folder, begin)
			return
		}
		comment, _, _ := strings.Cut(string(doc), "\npackage ")
		listed := named.FindAllString(comment, -1)
		for _, file := range slices.Concat(p.GoFiles, p.IgnoredGoFiles) {
			if file != begin && !strings.HasSuffix(file, "_test.go") && !slices.Contains(listed, file) {
				t.Errorf("%s/%s does not list %s", folder, begin, file)
			}
		}
		for _, file := range listed {
			if _, err := os.Stat(filepath.Join("..", folder, file)); err != nil {
				t.Errorf("%s/%s lists %s, which is not there", folder, begin, file)
			}
		}
	})
}
