//go:build tools

// Package compose pins the programs that compose.yaml's own images are made of, and Docker
// Compose for machines that have none.
package compose

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
	_ "github.com/docker/compose/v5/cmd"
	_ "github.com/nats-io/nats-server/v2"
)
