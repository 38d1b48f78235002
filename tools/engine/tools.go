//go:build tools

// Package engine pins a Docker engine of today, with the containerd that keeps its images, for the
// tests that run against one beside the machine's own.
package engine

import (
	_ "github.com/containerd/containerd/v2/cmd/containerd"
	_ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
	_ "github.com/moby/moby/v2/cmd/dockerd"
)
