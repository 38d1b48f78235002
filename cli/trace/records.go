package trace

import (
	"strings"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
)

// Records are what a chain is put together from.
type Records struct {
	Builds   []messages.BuildRecord
	Queued   []messages.BuildRequested // without a record yet
	Rollouts []messages.RolloutRecord
	Fleets   map[string]messages.FleetRecord
	Members  []string                       // FLEET.NODE
	Nodes    map[string]messages.NodeStatus // by FLEET.NODE, those that are heard
	Kept     time.Duration                  // how long records of what has ended are kept; 0 for ever
	Broken   []string                       // keys of records that can't be read, and why

	// Pinned reads which bases a build took that has no image, as long as its events are kept.
	Pinned func(build *messages.BuildRecord) ([]messages.PinnedBase, error)
	// History reads what a fleet's fence config was, oldest first.
	History func(fleet string) ([]fence.Change, error)
	// Receipts reads what was told of a fleet's rollouts, by rollout, oldest first.
	Receipts func(fleet string) (map[string][]Receipt, error)
}

// digestOf is the digest in whatever form an image has: NAME@sha256:HEX, or a local tag.
func digestOf(value string) string {
	if i, err := messages.ParseImage(value); err == nil {
		return i.Digest()
	}
	if strings.HasPrefix(value, "sha256:") {
		return value
	}
	return messages.LocalDigest(value)
}
