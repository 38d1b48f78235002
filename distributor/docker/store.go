package docker

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/api/services/introspection/v1"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// What containerd's plugins hold of images: what is fetched, and what is unpacked. Each may have a disk of
// its own. snapshotter is also what an engine says of its storage driver where containerd keeps its images.
const (
	contentStore = "io.containerd.content.v1"
	snapshotter  = "io.containerd.snapshotter.v1"
)

// store is a folder where an engine keeps images.
type store struct {
	root              string
	fetched, unpacked bool // what of a pull goes there
}

// FreeBytes looks at the file systems of the engine's images, where those are on this machine, and
// tells the one with the least.
func (e *Engine) FreeBytes(ctx context.Context) (int64, error) {
	stores, err := e.stores(ctx)
	if err != nil {
		return -1, err
	}
	least := int64(-1)
	for _, s := range stores {
		if free := freeBytes(s.root); free >= 0 && (least < 0 || free < least) {
			least = free
		}
	}
	return least, nil
}

// stores are where the engine keeps images; none where that is on another machine.
func (e *Engine) stores(ctx context.Context) ([]store, error) {
	if !strings.HasPrefix(e.api().DaemonHost(), "unix://") {
		return nil, nil
	}
	e.mu.Lock()
	stores := e.kept
	e.mu.Unlock()
	if stores != nil {
		return stores, nil
	}
	got, err := e.api().Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, e.fault(ctx, "asking where it keeps images", err)
	}
	stores = storesOf(ctx, &got.Info)
	e.mu.Lock()
	e.kept = stores
	e.mu.Unlock()
	return stores, nil
}

// storesOf are the folders where an engine keeps images: its own root, or what containerd says, or
// where containerd keeps them unless it is told otherwise.
func storesOf(ctx context.Context, info *system.Info) []store {
	if !slices.ContainsFunc(info.DriverStatus, func(s [2]string) bool { return s[0] == "driver-type" && s[1] == snapshotter }) {
		return []store{{info.DockerRootDir, true, true}}
	}
	if info.Containerd != nil {
		if stores := containerdStores(ctx, info.Containerd.Address, info.Driver); len(stores) > 0 {
			return stores
		}
	}
	if own := filepath.Join(info.DockerRootDir, "containerd", "daemon"); freeBytes(own) >= 0 {
		return []store{{own, true, true}}
	}
	return []store{{"/var/lib/containerd", true, true}}
}

// containerdStores asks a containerd where its stores are; none where it can't be asked from here.
func containerdStores(ctx context.Context, address, driver string) []store {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	got, err := introspection.NewIntrospectionClient(conn).Plugins(ctx, &introspection.PluginsRequest{})
	if err != nil {
		return nil
	}
	var stores []store
	for _, p := range got.GetPlugins() {
		root := p.GetExports()["root"]
		s := store{root, p.GetType() == contentStore, p.GetType() == snapshotter && p.GetID() == driver}
		if root != "" && (s.fetched || s.unpacked) {
			stores = append(stores, s)
		}
	}
	return stores
}
