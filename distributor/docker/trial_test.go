package docker_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/messages"
)

// trialOf tries an image whose pre-running fails, and returns the reason and the output.
func trialOf(t *testing.T, s *site, hook, network string) (string, error) {
	t.Helper()
	e, w := s.engine(t), s.newWorld(t, nil)
	t.Cleanup(func() { w.forget(t, e) })
	trial := distributor.Trial{
		Owner: w.fleet + ".node", Rollout: "r1", HooksDir: enginetest.HooksDir, Hooks: []string{"pre-running"}, Timeout: time.Minute,
		Network: network, Image: w.hooked(t, map[string]string{"pre-running": hook}),
	}
	if _, err := e.Pull(t.Context(), trial.Image, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	got, err := e.Trial(t.Context(), trial)
	if err != nil || got.Passed || len(got.Hooks) != 1 {
		return "", errors.Join(err, errors.New("no failing hook"))
	}
	if n := len(got.Hooks[0].Output); n > 4<<10 {
		t.Errorf("%d bytes of output", n)
	}
	return got.Reason + "\n" + got.Hooks[0].Output, nil
}

func TestAHookThatPrintsWithoutEnd(t *testing.T) { eachEngine(t, testAHookThatPrintsWithoutEnd) }

func testAHookThatPrintsWithoutEnd(t *testing.T, s *site) {
	got, err := trialOf(t, s, "#!/bin/sh\n/bin/busybox head -c 2000000 /dev/urandom\n/bin/busybox head -c 2000000 /dev/zero | /bin/busybox tr '\\0' x\necho\necho last\nexit 3\n", "")
	if err != nil || !strings.Contains(got, "status 3") || !strings.HasSuffix(got, "last") {
		t.Errorf("error %v, got %.300q", err, got)
	}
}

func TestAHookThatNeedsTooMuchMemory(t *testing.T) { eachEngine(t, testAHookThatNeedsTooMuchMemory) }

func testAHookThatNeedsTooMuchMemory(t *testing.T, s *site) {
	got, err := trialOf(t, s, "#!/bin/sh\nx=x; while :; do x=$x$x; done\n", "")
	if err != nil || !strings.Contains(got, "1024 MiB of memory") {
		t.Errorf("error %v, got %.300q", err, got)
	}
}

func TestATrialsNetworkThatIsNotThere(t *testing.T) { eachEngine(t, testATrialsNetworkThatIsNotThere) }

func testATrialsNetworkThatIsNotThere(t *testing.T, s *site) {
	_, err := trialOf(t, s, "#!/bin/sh\n", "no-such-network")
	if err == nil || errors.Is(err, distributor.ErrNotFound) || !strings.Contains(err.Error(), "no-such-network") || !strings.Contains(err.Error(), "trial.network") {
		t.Errorf("error %v, want one that names the network and the fix", err)
	}
}

// accounts is a layer with the accounts of a base image for fence.
func accounts(t *testing.T) v1.Layer {
	return layer(t, map[string]string{
		"etc/passwd": "root:x:0:0:root:/:/bin/sh\nstackato:x:1000:1000::/:/bin/sh\ndeploy:x:1001:1001::/:/bin/sh\n",
		"etc/group":  "root:x:0:\nstackato:x:1000:\ndeploy:x:1001:\n",
	})
}

// try pulls an image and tries it, with a pre-running.
func (s *site) try(t *testing.T, w *world, image messages.Image, user string) (messages.TrialResult, error) {
	t.Helper()
	e := s.engine(t)
	if _, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); err != nil {
		return messages.TrialResult{}, err
	}
	return e.Trial(t.Context(), distributor.Trial{
		Owner: w.fleet + ".node", Rollout: "r1", HooksDir: enginetest.HooksDir, Hooks: []string{"pre-running"}, Timeout: time.Minute,
		Image: image, User: user,
	})
}

// What can't be had of a container for what the image says is a verdict on the image, which names it.
func TestAnImageThatNoContainerCanBeMadeOf(t *testing.T) { eachEngine(t, testVerdicts) }

func testVerdicts(t *testing.T, s *site) {
	w := s.newWorld(t, nil)
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	hook := hookLayer(t, map[string]string{"pre-running": "#!/bin/sh\necho ready\n"})
	for name, c := range map[string]struct {
		change func(*v1.Config)
		layers []v1.Layer
		want   string
	}{
		"a user that it lacks":            {func(c *v1.Config) { c.User = "appuser" }, nil, `has no user "appuser"`},
		"a group that it lacks":           {func(c *v1.Config) { c.User = "stackato:appgroup" }, nil, `has no group "appgroup"`},
		"a number that is none":           {func(c *v1.Config) { c.User = "4294967296" }, nil, "4294967296"},
		"a working folder that is a file": {func(c *v1.Config) { c.WorkingDir = "/etc/passwd" }, nil, "/etc/passwd"},
		"a working folder below a file":   {func(c *v1.Config) { c.WorkingDir = "/etc/passwd/x" }, nil, "/etc/passwd"},
		"a volume on a file":              {func(c *v1.Config) { c.Volumes = map[string]struct{}{"/etc/passwd": {}} }, nil, "/etc/passwd"},
		"a variable without a name":       {func(c *v1.Config) { c.Env = []string{"=x"} }, nil, "environment variable"},
		"a shell that is not there":       {nil, []v1.Layer{layer(t, map[string]string{"bin/sh": "->nowhere"})}, "/bin/sh"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.change == nil {
				c.change = func(*v1.Config) {}
			}
			image := w.pushWith(t, c.change, append([]v1.Layer{w.base, accounts(t), hook}, c.layers...)...)
			got, err := s.try(t, w, image, "")
			if err != nil || got.Passed || !strings.Contains(got.Reason, c.want) {
				t.Errorf("got %+v, error %v; want a reason with %q", got, err, c.want)
			}
		})
	}
}

// Layers that an engine can't stack or unpack are a verdict too, at the pull or at the trial.
func TestLayersThatAnEngineCantTake(t *testing.T) { eachEngine(t, testLayers) }

func testLayers(t *testing.T, s *site) {
	w := s.newWorld(t, nil)
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	version, err := e.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := strings.HasPrefix(version.Version, "20.")
	hook := hookLayer(t, map[string]string{"pre-running": "#!/bin/sh\necho ready\n"})
	many := []v1.Layer{w.base, hook}
	for range 130 {
		many = append(many, layer(t, nil))
	}
	packed, err := tarball.LayerFromOpener(layerOpener(t, hook), tarball.WithCompression(compression.ZStd), tarball.WithMediaType(types.OCILayerZStd))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		layers []v1.Layer
		refuse bool
		want   []string
	}{
		"more than it can stack": {many, old, []string{"max depth exceeded", "layers"}},
		"zstd":                   {[]v1.Layer{w.base, packed}, old, []string{"zstd", "engine"}},
	} {
		got, err := s.try(t, w, w.push(t, c.layers...), "")
		if !c.refuse {
			if err != nil || !got.Passed {
				t.Errorf("%s: got %+v, error %v; engine %s can", name, got, err, version.Version)
			}
			continue
		}
		if !errors.Is(err, distributor.ErrImage) {
			t.Errorf("%s: error %v, want ErrImage", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v lacks %q", name, err, want)
			}
		}
	}
}

// layerOpener opens a layer's tar.
func layerOpener(t *testing.T, l v1.Layer) func() (io.ReadCloser, error) {
	t.Helper()
	return func() (io.ReadCloser, error) { return l.Uncompressed() }
}

// Hooks run as the user that fence runs them as, with no more rights than that one has.
func TestHooksRunAsTheirUser(t *testing.T) { eachEngine(t, testUsers) }

func testUsers(t *testing.T, s *site) {
	w := s.newWorld(t, nil)
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	hook := hookLayer(t, map[string]string{"pre-running": "#!/bin/sh\nset -e\n/bin/busybox id -un\necho mode=live >/etc/site.conf\n"})
	with := w.push(t, w.base, accounts(t), hook)
	without := w.push(t, w.base, layer(t, map[string]string{"etc/passwd": "root:x:0:0:root:/:/bin/sh\n"}), hook)
	for name, c := range map[string]struct {
		image        messages.Image
		user, output string
		passed       bool
	}{
		"fence's":                 {with, "", "stackato", false},
		"the policy's":            {with, "root", "root", true},
		"another of the policy's": {with, "deploy", "deploy", false},
		"by numbers":              {with, "1001:1001", "deploy", false},
		"the image's own":         {without, "", "root", true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := s.try(t, w, c.image, c.user)
			if err != nil || got.Passed != c.passed || len(got.Hooks) != 1 || !strings.Contains(got.Hooks[0].Output, c.output) {
				t.Errorf("got %+v, error %v", got, err)
			}
		})
	}
	if got, err := s.try(t, w, with, "nobody-here"); err != nil || got.Passed || !strings.Contains(got.Reason, `trial.user is "nobody-here"`) {
		t.Errorf("for a user that the image lacks: %+v, error %v", got, err)
	}
}

// A hook that its user can't run says so, though root could.
func TestAHookThatItsUserCantRun(t *testing.T) { eachEngine(t, testUnrunnable) }

func testUnrunnable(t *testing.T, s *site) {
	w := s.newWorld(t, nil)
	e := s.engine(t)
	t.Cleanup(func() { w.forget(t, e) })
	for text, want := range map[string]string{
		"#!/bin/python\n": "its interpreter is not in the image",
		"":                "is not executable",
	} {
		layers := []v1.Layer{w.base, accounts(t)}
		if text == "" {
			layers = append(layers, modeLayer(t, "etc/stackato/hooks/pre-running", "#!/bin/sh\n", 0o700))
		} else {
			layers = append(layers, hookLayer(t, map[string]string{"pre-running": text}))
		}
		if got, err := s.try(t, w, w.push(t, layers...), ""); err != nil || got.Passed || !strings.Contains(got.Reason, want) {
			t.Errorf("got %+v, error %v; want %q", got, err, want)
		}
	}
}
