package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sirupsen/logrus"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// registryToken is what a registry shows a producer.
const registryToken = "a registry's token of the black-box tests"

// tellingRegistry starts the CNCF's registry, which tells a producer of what is pushed, as docs/bases.md has it set up, and
// returns its address.
func tellingRegistry(t *testing.T, producer string) string {
	t.Helper()
	logrus.SetOutput(io.Discard)
	config := &configuration.Configuration{Storage: configuration.Storage{"filesystem": {"rootdirectory": t.TempDir()}}}
	config.Catalog.MaxEntries = 10
	config.Notifications.Endpoints = []configuration.Endpoint{{
		Name: "fenceline", URL: "http://" + producer + "/registries/distribution", Timeout: 10 * time.Second, Threshold: 5, Backoff: time.Second,
		Headers: http.Header{"Authorization": {"Bearer " + registryToken}},
		Ignore:  configuration.Ignore{Actions: []string{"pull"}, MediaTypes: []string{"application/octet-stream"}},
	}}
	ctx, cancel := context.WithCancel(context.Background())
	app := handlers.NewApp(ctx, config)
	server := httptest.NewServer(app)
	t.Cleanup(func() {
		server.Close()
		cancel()
		_ = app.Shutdown() // it waits for nobody who is not told
	})
	return strings.TrimPrefix(server.URL, "http://")
}

// digestOf is the digest that a tag has.
func digestOf(t *testing.T, tag string) string {
	t.Helper()
	ref, err := name.ParseReference(tag)
	if err != nil {
		t.Fatal(err)
	}
	d, err := remote.Head(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return d.Digest.String()
}

// TestARegistryTells has the CNCF's registry tell of a base that is pushed, and follows what is built on it to the fleet: a
// pipeline, and one that builds on that one's image. Then it does so once more over a restart of the producer, which is
// away when the base is pushed.
func TestARegistryTells(t *testing.T) {
	server := queuetest.Start(t)
	a := apartServers(t, server.URL(), nil)
	a.registry = tellingRegistry(t, a.http)
	base, system := a.registry+busyboxBase, a.registry+"/exampleco/system"
	err := errors.Join(
		os.WriteFile(filepath.Join(a.dir, "registry.token"), []byte(registryToken+"\n"), 0o600),
		pushBusybox(t.Context(), base, "1"),
		a.configure([]pipeline{
			// Nobody looks by himself within the time of a test.
			{name: "system", base: base, extra: []string{"moving_tag: latest", "rebuild_on: {base: true, settle: 1s, interval: 24h, token_file: registry.token}"}},
			{name: "app", base: system + ":latest", fleet: fleetOf("apart"), extra: []string{"rebuild_on: {settle: 1s}"}},
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	a.startRoles(t)
	if b := a.ended(t, a.build(t, "system", exporting("system"))); b.State != "succeeded" {
		t.Fatalf("the first build ended as %+v", b)
	}
	a.flip(t, "app", exporting("app"))

	if err := pushBusybox(t.Context(), base, "2"); err != nil {
		t.Fatal(err)
	}
	a.follow(t, 2, base)

	a.roles["producer"].Kill()
	if err := pushBusybox(t.Context(), base, "3"); err != nil {
		t.Fatal(err)
	}
	a.roles["producer"] = a.run(t, "producer", "--config", a.config(), "--listen", a.http)
	a.follow(t, 3, base)
}

// follow waits until the fleet has what app's build of a number made, of system's of that number, of the base as it is
// now. There is no other build, and what the commands show of each has what it came of.
func (a *apart) follow(t *testing.T, n int, base string) {
	t.Helper()
	system := a.numbered(t, "system", n)
	if want := (reason{"base", base[:strings.LastIndexByte(base, ':')] + "@" + digestOf(t, base), base}); system.Reason != want {
		t.Errorf("system was built for %+v, want %+v", system.Reason, want)
	}
	app := a.numbered(t, "app", n)
	if app.Reason.Kind != "cascade" || app.Reason.Link != system.Build {
		t.Errorf("app was built for %+v, want the build %s", app.Reason, system.Build)
	}
	a.awaitFence(t, app.Image)
	for _, b := range []build{system, app} {
		says(t, a.must(t, "builds", "show", b.Build), b.Reason.Kind, b.Reason.Link)
		says(t, a.must(t, "builds", "--pipeline", b.Pipeline), b.Reason.Kind)
	}
	a.numbered(t, "system", n)
	a.numbered(t, "app", n)
}

// numbered waits until a pipeline has so many builds, all of which have made an image, and returns the last.
func (a *apart) numbered(t *testing.T, pipeline string, n int) (last build) {
	t.Helper()
	await(t, fmt.Sprintf("build %d of %s", n, pipeline), func(ctx context.Context) error {
		var all []build
		err := a.JSON(ctx, &all, "builds", "--pipeline", pipeline)
		if len(all) > n {
			t.Fatalf("it has more than %d builds: %+v", n, all)
		}
		slices.SortFunc(all, func(a, b build) int { return int(a.Order) - int(b.Order) })
		if len(all) < n || all[n-1].State != "succeeded" {
			return errors.Join(err, fmt.Errorf("its builds are %+v", all))
		}
		last = all[n-1]
		return err
	})
	return last
}
