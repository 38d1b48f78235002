package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"
)

// The worked examples of examples/apply, each applied as its settings say to the file that stands beside
// them, in a folder in place of the machine's own.

// integration is an example whose file is in a folder of the test.
type integration struct {
	t      *testing.T
	config apply.Config
	dir    string
}

// newIntegration reads the settings of an example. From is the file beside them that is there already, or "".
func newIntegration(t *testing.T, name, from string) *integration {
	t.Helper()
	path := filepath.Join("..", "examples", "apply", name, "distributor.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := settings.Parse(path, content, settings.RoleDistributor)
	if err != nil {
		t.Fatal(err)
	}
	var d settings.Distributor
	fs := pflag.NewFlagSet("distributor", pflag.ContinueOnError)
	d.Add(fs)
	found.Apply(fs)
	i := &integration{t: t, config: d.Apply, dir: t.TempDir()}
	i.config.File = filepath.Join(i.dir, filepath.Base(d.Apply.File))
	if from != "" {
		clitest.Write(t, i.config.File, i.example(name, from))
	}
	return i
}

// example is a file of an example.
func (i *integration) example(name, file string) string {
	i.t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "examples", "apply", name, file))
	if err != nil {
		i.t.Fatal(err)
	}
	return string(b)
}

// program puts a stand-in into the PATH that notes how it is called.
func (i *integration) program(name string) {
	i.t.Helper()
	path := filepath.Join(i.dir, "bin", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		i.t.Fatal(err)
	}
	script := "#!/bin/sh\nfor a; do printf '<%s>' \"$a\"; done >>" + path + ".calls\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		i.t.Fatal(err)
	}
	i.t.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
}

// calls is how a stand-in was called.
func (i *integration) calls(name string) string {
	i.t.Helper()
	b, err := os.ReadFile(filepath.Join(i.dir, "bin", name+".calls"))
	if err != nil {
		i.t.Fatal(err)
	}
	return string(b)
}

// apply applies an image, and returns what the file has then.
func (i *integration) apply() string {
	i.t.Helper()
	target, err := apply.New(i.config)
	if err == nil {
		err = target.Check()
	}
	if err != nil {
		i.t.Fatal(err)
	}
	c := apply.Change{
		Values: apply.Values{
			Image: string(imageOne), Name: imageOne.Name(), Digest: imageOne.Digest(), Fleet: "production", Node: "node-1", Revision: 7,
		},
		Present: func(context.Context) error { return nil },
	}
	if _, err := target.Apply(i.t.Context(), c); err != nil {
		i.t.Fatal(err)
	}
	b, err := os.ReadFile(i.config.File)
	if err != nil {
		i.t.Fatal(err)
	}
	return string(b)
}

// TestGitLabRunner changes the image of one runner, and not a byte besides.
func TestGitLabRunner(t *testing.T) {
	i := newIntegration(t, "gitlab-runner", "config.toml")
	was := i.example("gitlab-runner", "config.toml")
	is := i.apply()
	if want := strings.Replace(was, `"registry.example.com/exampleco/newimg:latest"`, `"`+string(imageOne)+`"`, 1); is != want {
		t.Fatalf("it has\n%s\nnot\n%s", is, want)
	}
	type config struct {
		Runners []struct {
			Name   string `toml:"name"`
			Docker struct {
				Image      string   `toml:"image"`
				PullPolicy []string `toml:"pull_policy"`
			} `toml:"docker"`
		} `toml:"runners"`
	}
	var read config
	if err := toml.Unmarshal([]byte(is), &read); err != nil || len(read.Runners) != 2 {
		t.Fatalf("%+v, %v", read, err)
	}
	if one, two := read.Runners[0], read.Runners[1]; one.Docker.Image != string(imageOne) || !reflect.DeepEqual(one.Docker.PullPolicy, []string{"if-not-present"}) || two.Docker.Image != "registry.example.com/tools:1" {
		t.Errorf("it reads %+v", read)
	}
}

// TestJupyterHub runs the example's configuration as JupyterHub does, and starts a server by it.
func TestJupyterHub(t *testing.T) {
	i := newIntegration(t, "jupyterhub", "")
	i.apply()
	config := strings.Replace(i.example("jupyterhub", "jupyterhub_config.py"), "/var/lib/fenceline/image", i.config.File, 1)
	clitest.Write(t, filepath.Join(i.dir, "jupyterhub_config.py"), config)
	const hub = `
import sys
class Any:
    def __getattr__(self, name):
        self.__dict__[name] = Any()
        return self.__dict__[name]
c, server = Any(), Any()
server.image = "jupyterhub/singleuser:1"
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"get_config": lambda: c})
c.Spawner.pre_spawn_hook(server)
print(server.image, c.DockerSpawner.pull_policy)
`
	out, err := exec.Command("python3", "-c", hub, filepath.Join(i.dir, "jupyterhub_config.py")).CombinedOutput()
	if err != nil {
		t.Fatalf("python3, which scripts/python installs (Debian: apt-get install python3-minimal): %v: %s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != string(imageOne)+" ifnotpresent" {
		t.Errorf("a server starts from %q", got)
	}
}

// TestSystemdUnit reads the environment file as the unit does, and runs its ExecStart.
func TestSystemdUnit(t *testing.T) {
	i := newIntegration(t, "systemd", "app.env")
	i.program("systemctl")
	i.program("docker")
	is := i.apply()
	want := strings.Replace(i.example("systemd", "app.env"), "APP_IMAGE=registry.example.com/exampleco/newimg:latest", "APP_IMAGE="+string(imageOne), 1)
	if is != want {
		t.Errorf("it has\n%s\nnot\n%s", is, want)
	}
	if got := i.calls("systemctl"); got != "<try-restart><app.service>" {
		t.Errorf("systemctl was called with %s", got)
	}
	unit := i.example("systemd", "app.service")
	_, start, _ := strings.Cut(unit, "ExecStart=/usr/bin/")
	start, _, _ = strings.Cut(start, "\n")
	if !strings.Contains(unit, "EnvironmentFile=/etc/default/app\n") || start == "" {
		t.Fatalf("the unit is %s", unit)
	}
	if out, err := exec.Command("sh", "-c", ". "+i.config.File+"; "+start).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := i.calls("docker"); got != "<run><--rm><--name><app><--publish><8080:8080><"+string(imageOne)+">" {
		t.Errorf("docker was called with %s", got)
	}
}

// TestNomad sets the variable that the example's job reads.
func TestNomad(t *testing.T) {
	i := newIntegration(t, "nomad", "")
	i.program("nomad")
	i.apply()
	if got := i.calls("nomad"); got != "<var><put><-force><nomad/jobs/app><image="+string(imageOne)+">" {
		t.Errorf("nomad was called with %s", got)
	}
	for _, want := range []string{`nomadVar \"nomad/jobs/app\"`, "{{ .image }}", `image = "${IMAGE}"`} {
		if job := i.example("nomad", "app.nomad.hcl"); !strings.Contains(job, want) {
			t.Errorf("the job has no %s", want)
		}
	}
}
