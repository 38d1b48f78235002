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

// snapshotter is what an engine says of its storage driver where containerd keeps its images.
const snapshotter = "io.containerd.snapshotter.v1"

// containerdStores are the kinds of containerd's plugins that hold images: what is fetched, and what
// is unpacked. Each may have a disk of its own.
var containerdStores = []string{"io.containerd.content.v1", snapshotter}

// FreeBytes looks at the file systems of the engine's images, where those are on this machine, and
// tells the one with the least.
func (e *Engine) FreeBytes(ctx context.Context) (int64, error) {
	if !strings.HasPrefix(e.api.DaemonHost(), "unix://") {
		return -1, nil
	}
	e.mu.Lock()
	roots := e.roots
	e.mu.Unlock()
	if roots == nil {
		got, err := e.api.Info(ctx, client.InfoOptions{})
		if err != nil {
			return -1, e.fault(ctx, "asking where it keeps images", err)
		}
		roots = storesOf(ctx, &got.Info)
		e.mu.Lock()
		e.roots = roots
		e.mu.Unlock()
	}
	least := int64(-1)
	for _, root := range roots {
		if free := freeBytes(root); free >= 0 && (least < 0 || free < least) {
			least = free
		}
	}
	return least, nil
}

// storesOf are the folders where an engine keeps images: its own root, or what containerd says, or
// where containerd keeps them unless it is told otherwise.
func storesOf(ctx context.Context, info *system.Info) []string {
	if !slices.ContainsFunc(info.DriverStatus, func(s [2]string) bool { return s[0] == "driver-type" && s[1] == snapshotter }) {
		return []string{info.DockerRootDir}
	}
	if info.Containerd != nil {
		if roots := containerdRoots(ctx, info.Containerd.Address, info.Driver); len(roots) > 0 {
			return roots
		}
	}
	if own := filepath.Join(info.DockerRootDir, "containerd", "daemon"); freeBytes(own) >= 0 {
		return []string{own}
	}
	return []string{"/var/lib/containerd"}
}

// containerdRoots asks a containerd where its stores are; none where it can't be asked from here.
func containerdRoots(ctx context.Context, address, driver string) []string {
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
	var roots []string
	for _, p := range got.GetPlugins() {
		root := p.GetExports()["root"]
		if root == "" || !slices.Contains(containerdStores, p.GetType()) || p.GetType() == snapshotter && p.GetID() != driver {
			continue
		}
		roots = append(roots, root)
	}
	return roots
}
