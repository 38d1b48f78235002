//go:build tools

// Package tools pins the programs that run beside fenceline. They live in a module of
// their own so that fenceline's go.mod lists only what the binary links.
package tools

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
	_ "github.com/opencontainers/runc"
)
