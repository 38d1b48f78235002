package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestApply follows an image to the software of its node: a file is written and a command run. One whose
// command fails is turned back, and a rollback is applied as a flip is.
func TestApply(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("app.env"), []byte("# an app's\nPORT=8080\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	fleet := fleetOf("apply")
	s := own(t, []pipeline{{name: "apply", fleet: fleet, policy: "trial: {timeout: 30s}, apply: {quorum: 100%, deadline: 15s}"}},
		"--fleet", fleet, "--node", fleet, "--interval", "2s", "--apply", at("app.env"), "--apply-format", "env", "--apply-key", "APP_IMAGE", "--apply-command",
		fmt.Sprintf(`test ! -e %s || { echo no such unit; exit 4; }; echo "$FENCELINE_FLEET $FENCELINE_IMAGE after $FENCELINE_PREVIOUS_IMAGE" >>%s`, at("fail"), at("log")))
	holds := func(image string) {
		t.Helper()
		await(t, "app.env with "+image, func(context.Context) error {
			b, err := os.ReadFile(at("app.env"))
			if want := "# an app's\nPORT=8080\nAPP_IMAGE=" + image + "\n"; err == nil && string(b) != want {
				err = fmt.Errorf("app.env has %q", b)
			}
			return err
		})
	}
	reloaded := func(lines ...string) {
		t.Helper()
		await(t, "the command for it", func(context.Context) error {
			b, err := os.ReadFile(at("log"))
			if want := fleet + " " + strings.Join(lines, "\n"+fleet+" ") + "\n"; err == nil && string(b) != want {
				err = fmt.Errorf("the command noted\n%s, not\n%s", b, want)
			}
			return err
		})
	}
	first := s.flip(t, "apply", exporting("1"))
	holds(first.Image)
	ran := []string{first.Image + " after "}
	reloaded(ran...)
	s.awaitStatus(t, "  current "+first.Image, "applied on 1 of 1")
	if info, err := os.Stat(at("app.env")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("app.env is %v, %v", info.Mode(), err)
	}

	if err := os.WriteFile(at("fail"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := s.flip(t, "apply", exporting("2"))
	s.awaitStatus(t, "  problem: node "+fleet, "not applied", "reload ended with 4: no such unit")
	s.awaitFence(t, first.Image)
	s.holds(t, true)
	s.awaitStatus(t, "  HELD by fenceline", "not applied within 15s: applied on 0 of 1, 1 must; "+fleet+": reload ended with 4: no such unit")
	if err := os.Remove(at("fail")); err != nil {
		t.Fatal(err)
	}
	holds(first.Image)
	ran = append(ran, first.Image+" after "+second.Image)
	reloaded(ran...)

	s.must(t, "promote", second.Image)
	s.awaitFence(t, second.Image)
	holds(second.Image)
	ran = append(ran, second.Image+" after "+first.Image)
	reloaded(ran...)
	s.must(t, "rollback")
	holds(first.Image)
	ran = append(ran, first.Image+" after "+second.Image)
	reloaded(ran...)
	s.awaitStatus(t, "  current "+first.Image, "applied on 1 of 1")

	if err := os.WriteFile(at("somebody.env"), []byte("# an app's\nPORT=8080\nAPP_IMAGE=somebody/else\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(at("somebody.env"), at("app.env")); err != nil {
		t.Fatal(err)
	}
	holds(first.Image)
	s.awaitStatus(t, "  problem: node "+fleet, `put right what it applies: it had "somebody/else"`)
}
