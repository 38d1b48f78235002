package docker_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/distributor/enginetest"
	"github.com/fenceline/fenceline/freeport"
	"github.com/fenceline/fenceline/messages"
)

const greet = "#!/bin/sh\necho \"${0##*/} $FENCELINE_TRIAL\"\n"

func TestEngineConforms(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *site) { enginetest.Run(t, s.fixture) })
}

// The oldest engine that there is to try: Docker 1.3, with what Stackato's nodes came with last.
func TestAnOldEngineConforms(t *testing.T) {
	enginetest.Run(t, ownEngine(t, kind{old: true}).site().fixture)
}

// fixture has the images of the suite in a registry that the engine reaches.
func (s *site) fixture(t *testing.T) enginetest.Fixture {
	e, w := s.engine(t), s.newWorld(t, nil)
	t.Cleanup(func() { w.forget(t, e) })
	hooks := hookLayer(t, map[string]string{"pre-staging": greet, "pre-running": greet})
	one := func(text string) messages.Image { return w.hooked(t, map[string]string{"pre-running": text}) }
	none := "@sha256:" + strings.Repeat("0", 64)
	return enginetest.Fixture{
		Engine:      e,
		Content:     func(i messages.Image) distributor.Content { return w.content(t, i) },
		Fleet:       w.fleet,
		Good:        w.push(t, w.base, hooks),
		Next:        w.push(t, w.base, hooks, layer(t, map[string]string{"etc/small": "x"})),
		Failing:     one("#!/bin/sh\ni=1; while [ $i -le 30 ]; do echo line $i; i=$((i+1)); done\nexit 3\n"),
		Hanging:     one("#!/bin/sh\necho waiting\nwhile :; do /bin/busybox sleep 1; done\n"),
		Bare:        one("echo bare\n"),
		Plain:       w.push(t, w.base),
		NoShell:     w.push(t, layer(t, map[string]string{"etc/motd": "hello"})),
		Missing:     messages.Image(w.host + "/" + w.fleet + none),
		Unreachable: messages.Image(closedPort(t) + "/" + w.fleet + none),
	}
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	address, err := freeport.Of("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func TestAnEngineThatIsGoneIsNamed(t *testing.T) {
	socket := "unix://" + filepath.Join(t.TempDir(), "docker.sock")
	e, err := docker.New(docker.Config{Host: socket})
	if err != nil {
		t.Fatal(err)
	}
	image := messages.Image("registry.example/base@sha256:" + strings.Repeat("0", 64))
	for doing, call := range map[string]func() error{
		"info":   func() error { _, err := e.Info(t.Context()); return err },
		"images": func() error { _, err := e.Images(t.Context()); return err },
		"pull":   func() error { _, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); return err },
		"free":   func() error { _, err := e.FreeBytes(t.Context()); return err },
		"watch":  func() error { return e.Watch(t.Context(), func() {}) },
		"trial": func() error {
			_, err := e.Trial(t.Context(), distributor.Trial{Image: image, Timeout: time.Minute})
			return err
		},
	} {
		if err := call(); !errors.Is(err, distributor.ErrEngine) || !strings.Contains(err.Error(), socket) {
			t.Errorf("%s: %v, want ErrEngine with the socket named", doing, err)
		}
	}
}

func TestWhatTheEngineSaysOfItself(t *testing.T) { eachEngine(t, testInfo) }

func testInfo(t *testing.T, s *site) {
	e := s.engine(t)
	info, err := e.Info(t.Context())
	if err != nil || info.Name != "docker" || info.Version == "" || info.API == "" || info.Error != "" {
		t.Errorf("info %+v, error %v", info, err)
	}
	if free, err := e.FreeBytes(t.Context()); err != nil || free == 0 {
		t.Errorf("%d bytes are free, error %v", free, err)
	}
}

func TestAHostThatIsNoAddressIsRefused(t *testing.T) {
	if _, err := docker.New(docker.Config{Host: "no-address"}); err == nil || !strings.Contains(err.Error(), "no-address") {
		t.Fatalf("error %v, want one that names the address", err)
	}
}

// A killed agent leaves its container; only its own successor removes it.
func TestLeftContainersAreRemovedByTheirOwner(t *testing.T) { eachEngine(t, testLeftContainers) }

func testLeftContainers(t *testing.T, s *site) {
	e, w := s.engine(t), s.newWorld(t, nil)
	t.Cleanup(func() { w.forget(t, e) })
	image := w.hooked(t, map[string]string{"pre-running": "#!/bin/sh\nexit 0\n"})
	if _, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	left := w.leave(t, image)
	if n, err := e.RemoveTrials(t.Context(), "somebody.else"); n != 0 || err != nil {
		t.Fatalf("somebody else removed %d, error %v", n, err)
	}
	if got, err := e.Containers(t.Context()); err != nil || contains(got, left) {
		t.Fatalf("a trial's container counts as one of an app: %v, error %v", got, err)
	}
	if n, err := e.RemoveTrials(t.Context(), w.fleet+".node"); n != 1 || err != nil {
		t.Fatalf("removed %d, error %v; want the one", n, err)
	}
}

func contains(all []distributor.Container, name string) bool {
	for _, c := range all {
		if c.Name == name {
			return true
		}
	}
	return false
}

// A running container is reported with what it was started from, and keeps its image.
func TestARunningContainerKeepsItsImage(t *testing.T) { eachEngine(t, testRunningContainer) }

func testRunningContainer(t *testing.T, s *site) {
	e, w := s.engine(t), s.newWorld(t, nil)
	t.Cleanup(func() { w.forget(t, e) })
	image := w.push(t, w.base)
	if _, err := e.Pull(t.Context(), image, func(distributor.Progress) {}); err != nil {
		t.Fatal(err)
	}
	name := w.runApp(t, image)
	got, err := e.Containers(t.Context())
	if err != nil || !contains(got, name) {
		t.Fatalf("got %v without %s, error %v", got, name, err)
	}
	for _, c := range got {
		if c.Name == name && (c.Image != string(image) || !c.Running || c.ImageID == "") {
			t.Errorf("got %+v", c)
		}
	}
	if err := e.Remove(t.Context(), string(image)); err == nil {
		t.Error("the engine removed an image that a container runs")
	}
}
