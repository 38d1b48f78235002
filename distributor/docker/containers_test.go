package docker_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/messages"
)

const goarch = runtime.GOARCH

// leave creates a trial's container as a killed agent of this world leaves it.
func (w *world) leave(t *testing.T, image messages.Image) string {
	t.Helper()
	return w.create(t, w.fleet+"-left", &container.Config{
		Image:      string(image),
		Entrypoint: []string{"/bin/sh"},
		Labels:     map[string]string{"fenceline.trial": "r1", "fenceline.owner": w.fleet + ".node"},
	}, false)
}

// runApp starts a container that runs until the test ends.
func (w *world) runApp(t *testing.T, image messages.Image) string {
	t.Helper()
	return w.create(t, w.fleet+"-app", &container.Config{
		Image: string(image), Entrypoint: []string{"/bin/busybox", "sleep", "600"},
	}, true)
}

func (w *world) create(t *testing.T, name string, config *container.Config, start bool) string {
	t.Helper()
	api := w.at.api(t)
	made, err := api.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: config, HostConfig: &container.HostConfig{NetworkMode: "none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = api.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{Force: true})
	})
	if !start {
		return name
	}
	if _, err := api.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	return name
}
