package builder

import (
	"context"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// roomInterval is between two looks at the disk while a build runs: a step can write a gigabyte a second.
const roomInterval = 50 * time.Millisecond

// room is what a builder knows of the disk that builds write to.
type room struct {
	short func() error // why no build may write there now; nil where that is not known

	mu      sync.Mutex
	stopped map[string]bool // builds that were stopped for it once
}

// now tells why no build may write to the disk now, or nil.
func (r *room) now() error {
	if r.short == nil {
		return nil
	}
	return r.short()
}

// watch ends a build by end where the disk fills up while it runs, until ctx ends.
func (r *room) watch(ctx context.Context, build string, end context.CancelCauseFunc) {
	if r.short == nil {
		return
	}
	tick := time.NewTicker(roomInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := r.short(); err != nil {
			end(r.filled(build, err))
			return
		}
	}
}

// filled says how a build ends during which the disk filled up. It may be somebody else who filled it, so
// a build gets another try, once there is room again; the second time it is the build.
func (r *room) filled(build string, short error) *FailedError {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped[build] {
		delete(r.stopped, build)
		return &FailedError{messages.Failure{
			Class: messages.FailureUser, Reason: "the build filled the builder's disk, twice, and was stopped: " + short.Error(),
			Fix: "let its steps write less, or give the builder a larger disk",
		}}
	}
	if r.stopped == nil {
		r.stopped = map[string]bool{}
	}
	r.stopped[build] = true
	return &FailedError{messages.Failure{
		Class: messages.FailureInfrastructure, Reason: "the builder's disk filled up while the build ran, and it was stopped: " + short.Error(),
		Fix: "make room on the builder's disk",
	}}
}

// forget is told that a build made an image.
func (r *room) forget(build string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stopped, build)
}
