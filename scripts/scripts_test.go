// Package scripts has tests of the scripts beside it, on machines that lack something.
package scripts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// machine is an imagined one: its commands, and a folder for what is made.
type machine struct {
	path  string // the folders of its commands, as in PATH
	state string
	env   []string
}

// machineWith is this machine, where some commands are replaced by scripts.
func machineWith(t *testing.T, commands map[string]string) machine {
	t.Helper()
	dir := t.TempDir()
	for name, script := range commands {
		write(t, filepath.Join(dir, name), "#!/bin/bash\n"+script)
	}
	return machine{path: dir + ":" + os.Getenv("PATH"), state: t.TempDir()}
}

// run runs a script, and returns its status and all that it said.
func (m machine) run(t *testing.T, script string, args ...string) (status int, said string) {
	t.Helper()
	if _, err := os.ReadDir("."); err != nil { // so that go test takes no result for one of other scripts
		t.Fatal(err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, append([]string{script}, args...)...)
	cmd.Env = append([]string{"PATH=" + m.path, "HOME=" + t.TempDir(), "FENCELINE_SETUP_STATE=" + m.state}, m.env...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// alone is without any network: no registry and no package mirror can be reached.
func (m machine) alone(t *testing.T) machine {
	write(t, filepath.Join(m.state, "base", "busybox"), "the tests' own; it need not be looked for")
	m.env = append(m.env, "FENCELINE_DEBIAN_IMAGE=registry.invalid/debian:12", "FENCELINE_DEBIAN_MIRROR=http://127.0.0.1:9/debian")
	return m
}

func (m machine) kind(t *testing.T) string {
	t.Helper()
	kind, err := os.ReadFile(filepath.Join(m.state, "base", "kind"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(kind))
}

// unpack puts the base's layer into a folder.
func (m machine) unpack(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if out, err := exec.Command("tar", "-C", root, "--no-same-owner", "-xzf", filepath.Join(m.state, "base", "layer.tar.gz")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return root
}

// in is a command in that root folder, as its root.
func in(root, command string, args ...string) *exec.Cmd {
	cmd := exec.Command(command, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if uid := os.Geteuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return cmd
}

func TestASmallBaseIsMadeWithoutANetwork(t *testing.T) {
	m := machineWith(t, map[string]string{"getent": "exit 2"}).alone(t)
	status, said := m.run(t, "./base")
	if status != 0 || m.kind(t) != "small" {
		t.Fatalf("status %d:\n%s", status, said)
	}
	for _, want := range []string{"registry.invalid", "127.0.0.1:9", "so the base image is small", "only add hooks"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	root := m.unpack(t)
	hooks, err := filepath.Glob("../examples/admin-hooks/hooks/*")
	if err != nil || len(hooks) != 3 {
		t.Fatalf("the example's hooks: %v %v", hooks, err)
	}
	for _, hook := range hooks {
		content, err := os.ReadFile(hook)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "hook"), string(content))
		if out, err := in(root, "/hook").CombinedOutput(); err != nil || strings.Contains(string(out), "not found") {
			t.Errorf("%s on the small base: %v\n%s", hook, err, out)
		}
	}
	if out, err := in(root, "/bin/sh", "-c", "grep ^stackato: /etc/passwd; ls /usr/bin/env").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Debian's package of busybox also has a file of settings by that name.
func TestTheBusyboxThatIsDownloadedIsTheProgram(t *testing.T) {
	for _, first := range []string{"usr/bin", "usr/share/initramfs-tools/conf.d"} { // found in the order in which they were made
		m := machineWith(t, map[string]string{
			"getent": "exit 2", "busybox": "exit 1", "ldd": "exit 0", // the one in PATH is not static
			"apt-get": `[[ $* == *"download busybox-static" ]] && touch busybox-static_1_amd64.deb`,
			"dpkg-deb": `mkdir -p "$3/` + first + `" "$3/usr/bin" "$3/usr/share/initramfs-tools/conf.d"
echo BUSYBOXDIR=/bin >"$3/usr/share/initramfs-tools/conf.d/busybox"
printf '#!/bin/sh\necho the program' >"$3/usr/bin/busybox" && chmod 755 "$3/usr/bin/busybox"`,
		}).alone(t)
		kept := filepath.Join(m.state, "base", "busybox")
		if err := os.Remove(kept); err != nil {
			t.Fatal(err)
		}
		_, said := m.run(t, "./base")
		if out, err := exec.Command(kept).Output(); err != nil || string(out) != "the program\n" {
			t.Errorf("what was kept says %q, %v; the script said\n%s", out, err, said)
		}
	}
}

// engine is a docker command that has the given answer to a pull, and notes what it is asked.
func engine(notes, pull string) string {
	return `echo "$*" >>` + notes + `
case $1 in
pull) ` + pull + ` ;;
create) exit 0 ;;
export) tar -C ` + filepath.Dir(notes) + `/files -cf - . ;;
*) exit 1 ;;
esac`
}

func TestAPublicDebianIsTaken(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "asked")
	for name, content := range map[string]string{"etc/passwd": "root:x:0:0::/root:/bin/sh\n", "etc/group": "root:x:0:\n", "seen": "the public one"} {
		write(t, filepath.Join(filepath.Dir(notes), "files", name), content)
	}
	m := machineWith(t, map[string]string{"docker": engine(notes, "exit 0"), "getent": "exit 0"}).alone(t)
	status, said := m.run(t, "./base")
	if status != 0 || m.kind(t) != "debian" {
		t.Fatalf("status %d:\n%s", status, said)
	}
	asked, err := os.ReadFile(notes)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pull -q registry.invalid/debian:12", "image rm registry.invalid/debian:12"} {
		if !strings.Contains(string(asked), want) {
			t.Errorf("docker was not asked to %q:\n%s", want, asked)
		}
	}
	passwd, err := os.ReadFile(filepath.Join(m.unpack(t), "etc", "passwd"))
	if err != nil || !strings.Contains(string(passwd), "stackato:") {
		t.Errorf("its /etc/passwd: %v\n%s", err, passwd)
	}
}

func TestASlowRegistryIsGivenUp(t *testing.T) {
	notes := filepath.Join(t.TempDir(), "asked")
	m := machineWith(t, map[string]string{"docker": engine(notes, "exec sleep 600"), "getent": "[[ $2 == registry* ]]"}).alone(t)
	m.env = append(m.env, "FENCELINE_PULL_SECONDS=0.2")
	if status, said := m.run(t, "./base"); status != 0 || m.kind(t) != "small" {
		t.Fatalf("status %d:\n%s", status, said)
	}
}

// The layer's digest says whether the base has to be pushed, and everything built anew.
func TestTheSameBaseIsTheSameLayer(t *testing.T) {
	sums := map[string]bool{}
	for range 2 {
		m := machineWith(t, map[string]string{"getent": "exit 2"}).alone(t)
		if status, said := m.run(t, "./base"); status != 0 {
			t.Fatalf("status %d:\n%s", status, said)
		}
		layer, err := os.ReadFile(filepath.Join(m.state, "base", "layer.tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		sums[string(layer)] = true
		readable(t, layer)
	}
	if len(sums) != 1 {
		t.Error("two bases of the same files differ")
	}
}

// readable sees that every account can read a layer's files.
func readable(t *testing.T, layer []byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return
		}
		if h.Name != "./root/" && h.Mode&0o4 == 0 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
	}
}

func TestAUserWhoIsNotRootIsToldWhatIsMissing(t *testing.T) {
	m := machineWith(t, map[string]string{
		"id": `if [[ $1 == -u ]]; then echo 1000; else echo ann; fi`, "docker": "exit 1",
	})
	status, said := m.run(t, "./setup")
	if status == 0 {
		t.Fatalf("setup succeeded:\n%s", said)
	}
	for _, want := range []string{"ann is not root", "docs.docker.com/engine/install", "usermod -aG docker ann", "FENCELINE_BUILDKITD=unix:///run/user/1000/", "sudo env"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
}

// The images' buildkitd runs in a container: who makes them needs none on the machine.
func TestTheImagesNeedNoBuildkitd(t *testing.T) {
	m := machineWith(t, map[string]string{
		"id": `if [[ $1 == -u ]]; then echo 1000; else echo ann; fi`, "docker": "exit 1",
	})
	status, said := m.run(t, "./setup", "images")
	if status == 0 || !strings.Contains(said, "usermod -aG docker ann") || strings.Contains(said, "buildkit") {
		t.Errorf("status %d:\n%s", status, said)
	}
}

func TestAnOldDockerComposeIsNotTaken(t *testing.T) {
	for installed, taken := range map[string]bool{"": false, "v2.20.3": false, "2.24.4": true, "v5.2.0": true, "2.100.0": true} {
		m := machineWith(t, map[string]string{
			"docker": `[[ "$*" == "compose version --short" && -n "` + installed + `" ]] && echo ` + installed,
			"go":     `[[ " $* " != *" build "* ]]`,
		})
		status, said := m.run(t, "./programs", "compose")
		if (status == 0) != taken || strings.Contains(said, "building docker-compose") == taken {
			t.Errorf("version %q: status %d:\n%s", installed, status, said)
		}
	}
}

func TestAnUnknownSystemIsToldWhatToInstall(t *testing.T) {
	m := machineWith(t, map[string]string{"id": "echo 0"})
	m.path, _, _ = strings.Cut(m.path, ":")
	for _, command := range []string{"bash", "cat", "dirname", "readlink", "timeout"} {
		own, err := exec.LookPath(command)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(own, filepath.Join(m.path, command)); err != nil {
			t.Fatal(err)
		}
	}
	m.env = []string{"DOCKER_HOST=unix://" + filepath.Join(m.state, "none.sock")}
	for script, want := range map[string]string{"engine": "docs.docker.com/engine/install", "programs": "Go is not installed", "compiler": "needs a C compiler"} {
		args := map[string][]string{"engine": {"up"}}[script]
		status, said := m.run(t, "./"+script, args...)
		if status != 1 || !strings.Contains(said, want) {
			t.Errorf("%s: status %d, and it does not say %q:\n%s", script, status, want, said)
		}
	}
	// What only some tests need is no reason to run none.
	for script, want := range map[string]string{"redis": "redis-server", "etcd": "etcd-server", "python": "python3-minimal"} {
		if status, said := m.run(t, "./"+script); status != 0 || !strings.Contains(said, "apt-get install "+want) {
			t.Errorf("%s: status %d:\n%s", script, status, said)
		}
	}
}

// Docker 1.3 can't run on most machines of today: that is said, and is no reason to run no tests.
func TestDocker13IsNotBuiltWhereItCantRun(t *testing.T) {
	for mounts, runs := range map[string]bool{
		"cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,relatime,nsdelegate 0 0":        false,
		"cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0":                false,
		"cgroup /sys/fs/cgroup/devices cgroup rw,nosuid,noexec,devices 0 0":       true,
		"cgroup /sys/fs/cgroup/some cgroup rw,nosuid,cpu,devices,freezer,cpu 0 0": true,
	} {
		m := machineWith(t, map[string]string{"go": `if [[ $* == "env GOARCH" ]]; then echo amd64; else exit 1; fi`})
		file := filepath.Join(t.TempDir(), "mounts")
		write(t, file, mounts+"\n")
		m.env = []string{"FENCELINE_MOUNTS=" + file}
		status, said := m.run(t, "./oldengine")
		if (status != 0) != runs || strings.Contains(said, "SKIPPED on this machine: the tests with Docker 1.3") == runs {
			t.Errorf("with %q: status %d:\n%s", mounts, status, said)
		}
	}
}

func TestALongCommandIsSeenToRun(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	m := machineWith(t, map[string]string{"sleep": sleep + " 0.01"}) // in place of ten seconds
	seen := filepath.Join(m.state, "seen")
	// The clock has many of its turns meanwhile.
	status, said := m.run(t, "./clocked", "check", "waiting for it", "bash", "-c",
		"echo begun; for i in {1..20}; do sleep; done; echo ended >"+seen+"; exit 3")
	if status != 3 || !strings.Contains(said, "check: waiting for it …\n") || !strings.Contains(said, "begun\n") ||
		!strings.Contains(said, "check:   … waiting for it: ") || !strings.Contains(said, "failed with status 3 after ") {
		t.Errorf("status %d:\n%s", status, said)
	}
	if _, err := os.Stat(seen); err != nil {
		t.Error(err)
	}
}

func TestAStepShowsTheEndOfItsOutputWhereItFails(t *testing.T) {
	m := machineWith(t, nil)
	script := filepath.Join(m.state, "script")
	here, err := filepath.Abs("common.sh")
	if err != nil {
		t.Fatal(err)
	}
	write(t, script, ". "+here+"\nstep good 'doing well' echo fine\nstep bad 'doing badly' sh -c 'echo why; exit 4' || fail 'it is over'\n")
	status, said := m.run(t, script)
	for _, want := range []string{"setup: doing well …\nsetup:   done in 0 s\n", "setup: doing badly: failed with status 4 after 0 s\n       | why\n", filepath.Join(m.state, "log", "bad.log"), "setup: it is over"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if status != 1 || strings.Contains(said, "fine") {
		t.Errorf("status %d:\n%s", status, said)
	}
}

// TestAServiceThatAPackageStartedIsEnded by what runs the machine: systemd, or the scripts of init.
func TestAServiceThatAPackageStartedIsEnded(t *testing.T) {
	told := filepath.Join(t.TempDir(), "told")
	note := `echo "$(basename "$0") $*" >>` + told + "\nexit 1\n"
	m := machineWith(t, map[string]string{"systemctl": note, "service": note, "update-rc.d": note})
	script := filepath.Join(t.TempDir(), "script")
	common, err := filepath.Abs("common.sh")
	if err != nil {
		t.Fatal(err)
	}
	write(t, script, ". "+common+"\nunasked prometheus\n")
	if status, said := m.run(t, script); status != 0 || said != "" {
		t.Errorf("it ends with %d: %s", status, said)
	}
	want := "service prometheus stop\nupdate-rc.d prometheus disable\n"
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		want = "systemctl disable --now prometheus\n"
	}
	if got, err := os.ReadFile(told); err != nil || string(got) != want {
		t.Errorf("it tells %q, %v; want %q", got, err, want)
	}
}
