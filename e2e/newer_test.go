package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// edit changes a file of the next release: what is there, and what takes its place.
type edit struct{ file, was, is string }

// nextRelease is what a release changes that adds a field to build requests and to announced
// images which older programs must not do without: both have a new version, as has a fleet's
// change, and the ones before are still read.
var nextRelease = []edit{
	{"messages/types.go", `Type = "dev.fenceline.build.requested.v1"`, `Type = "dev.fenceline.build.requested.v2"`},
	{"messages/types.go", `Type = "dev.fenceline.image.ready.v1"`, `Type = "dev.fenceline.image.ready.v2"`},
	{"messages/types.go", `Type = "dev.fenceline.fleet.changed.v1"`, `Type = "dev.fenceline.fleet.changed.v2"`},
	{
		"messages/types.go", "func() Payload { return new(BuildRequested) },\n",
		"func() Payload { return new(BuildRequested) },\n" +
			"	\"dev.fenceline.build.requested.v1\": func() Payload { return new(BuildRequested) },\n" +
			"	\"dev.fenceline.image.ready.v1\": func() Payload { return new(ImageReady) },\n" +
			"	\"dev.fenceline.fleet.changed.v1\": func() Payload { return new(FleetChanged) },\n",
	},
	{"messages/request.go", "type BuildRequested struct {\n", "type BuildRequested struct {\n	Channel string `json:\"channel,omitempty\"`\n"},
	{"messages/build.go", "type ImageReady struct {\n", "type ImageReady struct {\n	Channel string `json:\"channel,omitempty\"`\n"},
	{"builds/request.go", "	m, err := messages.Encode(", "	r.Channel = \"stable\"\n	m, err := messages.Encode("},
	{"builds/outcome.go", "	case *messages.ImageReady:\n", "	case *messages.ImageReady:\n		p.Channel = \"stable\"\n"},
}

// buildNextRelease builds the tree with nextRelease over it.
func buildNextRelease(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	texts := map[string]string{}
	for _, e := range nextRelease {
		path := filepath.Join(root, filepath.FromSlash(e.file))
		if texts[path] == "" {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(b)
		}
		if strings.Count(texts[path], e.was) != 1 {
			t.Fatalf("%s does not have %q once: nextRelease changes it", e.file, e.was)
		}
		texts[path] = strings.Replace(texts[path], e.was, e.is, 1)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range texts {
		file := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(path, root), "/", "_"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		overlay.Replace[path] = file
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	list, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "fenceline")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", list, "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/fenceline")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the next release: %v\n%s", err, out)
	}
	return program
}
