// Package backends opens the fence configs of fleets: the one place that knows which backends there
// are. Roles and commands go through it, and know the interface alone.
package backends

import (
	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages/queue"
)

// Open returns how the fence config of each fleet is reached: in the installation's own bucket.
// It asks nothing yet.
func Open(q *queue.Client) fence.Factory {
	return func(fleet string) fence.Backend { return natskv.New(q, fleet) }
}
