package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
)

// tried is a system in a folder, on which no command is run: a user that is added appears.
type tried struct {
	machine
	ran   []string
	given map[string]string // owners, by path
}

func system(t *testing.T) *tried {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/bash\n", "etc/group": "root:x:0:\ndocker:x:105:ann\n", "program": "a program\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		clitest.Write(t, path, content)
	}
	s := &tried{machine: machine{root: root, uid: os.Getuid()}, given: map[string]string{}}
	s.run = func(_ context.Context, name string, args ...string) error {
		s.ran = append(s.ran, name+" "+strings.Join(args, " "))
		if name != "useradd" {
			return nil
		}
		line := fmt.Sprintf("%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", args[len(args)-1], os.Getuid(), os.Getgid())
		return os.WriteFile(filepath.Join(root, "etc/passwd"), append([]byte("root:x:0:0:root:/root:/bin/bash\n"), line...), 0o600)
	}
	s.chown = func(path string, uid, gid int) error {
		s.given[filepath.Base(path)] = fmt.Sprintf("%d:%d", uid, gid)
		return nil
	}
	return s
}

func (s *tried) installed(t *testing.T, role string, dry bool) string {
	t.Helper()
	var out strings.Builder
	if err := s.install(t.Context(), &out, role, filepath.Join(s.root, "program"), dry); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), s.root, "ROOT")
}

// TestInstallShowsWhatItWouldDo has all that a role gets, word for word, and nothing changes.
func TestInstallShowsWhatItWouldDo(t *testing.T) {
	for _, role := range settings.Roles() {
		t.Run(role, func(t *testing.T) {
			s := system(t)
			clitest.Golden(t, "testdata/"+"install-"+role+".txt", s.installed(t, role, true))
			if found, err := os.ReadDir(s.root); err != nil || len(found) != 2 || len(s.ran) > 0 {
				t.Errorf("something was done: %v, %v, %v", found, s.ran, err)
			}
		})
	}
}

func TestInstallMakesAService(t *testing.T) {
	s := system(t)
	out := s.installed(t, "distributor", false)
	for path, mode := range map[string]os.FileMode{
		installedAt: 0o755, settingsPath("distributor"): 0o644, passwordPath("distributor"): 0o400, unitPath("distributor"): 0o644,
	} {
		if info, err := os.Stat(s.at(path)); err != nil || info.Mode().Perm() != mode || !strings.Contains(out, "ROOT"+path) {
			t.Errorf("%s: %v, %v in\n%s", path, info, err, out)
		}
	}
	if len(s.ran) != 1 || !strings.HasPrefix(s.ran[0], "useradd --system") || !strings.Contains(s.ran[0], "--groups docker --prefix "+s.root) {
		t.Errorf("it ran %q", s.ran)
	}
	if len(s.given) != 1 {
		t.Errorf("these got an owner: %v", s.given)
	}
	if leftovers, _ := filepath.Glob(s.at(settingsFolder) + "/.*"); len(leftovers) > 0 {
		t.Errorf("left behind: %v", leftovers)
	}
}

func TestInstallTwiceLeavesAlone(t *testing.T) {
	s := system(t)
	s.installed(t, "builder", false)
	clitest.Write(t, s.at(settingsPath("builder")), "nats: nats://core:4222\n")
	s.ran = nil
	out := s.installed(t, "builder", false)
	if strings.Count(out, "left alone: ") != 6 || strings.Contains(out, "done: ") || len(s.ran) > 0 {
		t.Errorf("it ran %q, and says\n%s", s.ran, out)
	}
	if b, err := os.ReadFile(s.at(settingsPath("builder"))); err != nil || string(b) != "nats: nats://core:4222\n" {
		t.Errorf("the settings are %q, %v", b, err)
	}
}

func TestInstallOverWhatIsThere(t *testing.T) {
	for name, test := range map[string]struct {
		role   string
		before func(t *testing.T, s *tried)
		says   string // in its output
		fails  string // in its error
	}{
		"a unit that was changed": {"builder", func(t *testing.T, s *tried) {
			unit, err := os.ReadFile(s.at(unitPath("builder")))
			if err != nil {
				t.Fatal(err)
			}
			clitest.Write(t, s.at(unitPath("builder")), strings.Replace(string(unit), "RestartSec=5s", "RestartSec=1s", 1))
		}, "", "/fenceline-builder.service.d/local.conf"},
		"a unit of somebody else": {"builder", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at(unitPath("builder")), "[Service]\nExecStart=/bin/true\n")
		}, "", "was changed by hand, and nothing was done"},
		"a unit of an earlier install": {"builder", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at(unitPath("builder")), unit("builder", 0))
		}, "in place of an earlier install's", ""},
		"a longer grace in the settings": {"builder", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at(settingsPath("builder")), "nats: nats://core:4222\ngrace: 10m\n")
		}, "in place of an earlier install's", ""},
		"another build of the program": {"builder", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at(installedAt), "an older program\n")
		}, "it is another build; replace it with: install -m 0755", ""},
		"a password that others may read": {"builder", func(t *testing.T, s *tried) {
			if err := os.Chmod(s.at(passwordPath("builder")), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "done: give ROOT/etc/fenceline/builder.password to fenceline-builder alone", ""},
		"a folder that users can't enter": {"builder", func(t *testing.T, s *tried) {
			if err := os.Chmod(s.at(settingsFolder), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "let users enter ROOT/etc/fenceline, though not list it (0711)", ""},
		"a user without the engine": {"distributor", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at("/etc/passwd"), "fenceline-distributor:x:0:0::/:/bin/false\n")
		}, "done: run usermod --append --groups docker", ""},
		"a user with the engine": {"distributor", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at("/etc/passwd"), "fenceline-distributor:x:0:0::/:/bin/false\n")
			clitest.Write(t, s.at("/etc/group"), "docker:x:105:ann,fenceline-distributor\n")
		}, "a member of docker", ""},
		"no Docker engine": {"distributor", func(t *testing.T, s *tried) {
			clitest.Write(t, s.at("/etc/group"), "root:x:0:\n")
		}, "", "there is no group docker"},
		"no system": {"builder", func(t *testing.T, s *tried) {
			if err := os.Remove(s.at("/etc/passwd")); err != nil {
				t.Fatal(err)
			}
		}, "", "--root takes the folder of a whole system"},
		"a file in the folder's place": {"builder", func(t *testing.T, s *tried) {
			if err := os.RemoveAll(s.at(settingsFolder)); err != nil {
				t.Fatal(err)
			}
			clitest.Write(t, s.at(settingsFolder), "")
		}, "", "has to be a folder"},
		"a password that is a link": {"builder", func(t *testing.T, s *tried) {
			if err := os.Remove(s.at(passwordPath("builder"))); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/shadow", s.at(passwordPath("builder"))); err != nil {
				t.Fatal(err)
			}
		}, "", "is no file: move it away"},
		"no program": {"builder", func(t *testing.T, s *tried) {
			if err := os.Remove(s.at("/program")); err != nil {
				t.Fatal(err)
			}
		}, "", "--binary"},
		"what can't be written": {"builder", func(t *testing.T, s *tried) {
			if err := os.RemoveAll(s.at("/usr/local")); err != nil {
				t.Fatal(err)
			}
			clitest.Write(t, s.at("/usr/local"), "")
		}, "", "/usr/local"},
	} {
		t.Run(name, func(t *testing.T) {
			s := system(t)
			s.installed(t, "builder", false)
			test.before(t, s)
			var out strings.Builder
			err := s.install(t.Context(), &out, test.role, filepath.Join(s.root, "program"), false)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) || strings.Contains(out.String(), "done: ") {
					t.Errorf("it ends with %v, and says\n%s", err, out.String())
				}
				return
			}
			if said := strings.ReplaceAll(out.String(), s.root, "ROOT"); err != nil || !strings.Contains(said, test.says) {
				t.Errorf("it ends with %v, without %q in\n%s", err, test.says, said)
			}
		})
	}
}

func TestInstallOnlyWhereItCan(t *testing.T) {
	live := t.TempDir()
	for name, test := range map[string]struct {
		m    machine
		dry  bool
		says string
	}{
		"without root":               {machine{uid: 1000, boots: live}, false, "--dry-run"},
		"without systemd":            {machine{boots: filepath.Join(live, "none")}, false, "doesn't run systemd"},
		"with both":                  {machine{boots: live}, false, ""},
		"to look, with neither":      {machine{uid: 1000, boots: "none"}, true, ""},
		"elsewhere, without systemd": {machine{boots: "none", root: live}, false, ""},
		"elsewhere, without root":    {machine{uid: 1000, boots: live, root: live}, false, "--dry-run"},
	} {
		if err := test.m.may(test.dry); (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSystemdWaitsForTheGrace: it must not kill what would still end by itself.
func TestSystemdWaitsForTheGrace(t *testing.T) {
	for grace, want := range map[string]string{"30s": "TimeoutStopSec=50s\n", "10m": "TimeoutStopSec=620s\n", "0s": "TimeoutStopSec=20s\n"} {
		s := system(t)
		if err := os.MkdirAll(s.at(settingsFolder), 0o755); err != nil {
			t.Fatal(err)
		}
		clitest.Write(t, s.at(settingsPath("builder")), "grace: "+grace+"\n")
		if out := s.installed(t, "builder", true); !strings.Contains(out, want) {
			t.Errorf("with a grace of %s it says\n%s", grace, out)
		}
	}
}
