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
	running map[*writer]bool
	stopped map[string]bool // builds whose last attempt here filled the disk alone
	afresh  bool            // the solver's backend was started again since a build last ran
}

// writer is a build that runs.
type writer struct {
	build   string
	end     context.CancelCauseFunc
	stopped bool // an attempt before this one filled the disk alone
}

// now tells why no build may write to the disk now, or nil.
func (r *room) now() error {
	if r.short == nil {
		return nil
	}
	return r.short()
}

// stuck tells, once after builds have run, that the disk is full though none runs.
func (r *room) stuck() bool {
	if r.now() == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.afresh || len(r.running) > 0 {
		return false
	}
	r.afresh = true
	return true
}

// watch ends a build by end where the disk fills up while it runs, until ctx ends.
func (r *room) watch(ctx context.Context, build string, end context.CancelCauseFunc) {
	if r.short == nil {
		return
	}
	w := r.enter(build, end)
	go func() {
		defer r.leave(w)
		tick := time.NewTicker(roomInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := r.short(); err != nil {
				r.filled(w, err)
				return
			}
		}
	}()
}

// enter notes that a build runs. What is known of an attempt before is forgotten, unless this one is
// stopped, too.
func (r *room) enter(build string, end context.CancelCauseFunc) *writer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		r.running, r.stopped = map[*writer]bool{}, map[string]bool{}
	}
	w := &writer{build: build, end: end, stopped: r.stopped[build]}
	delete(r.stopped, build)
	r.running[w], r.afresh = true, false
	return w
}

func (r *room) leave(w *writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, w)
}

// filled ends all that runs where w found the disk full, unless it was ended before. It may be somebody else
// who filled it, so a build gets another try, once there is room again; where it runs alone and fills it a
// second time, it is the build.
func (r *room) filled(w *writer, short error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running[w] {
		return
	}
	alone := len(r.running) == 1
	for other := range r.running {
		if alone && other.stopped {
			other.end(&FailedError{messages.Failure{
				Class: messages.FailureUser, Reason: "the build filled the builder's disk, twice, and was stopped: " + short.Error(),
				Fix: "let its steps write less, or give the builder a larger disk",
			}})
			continue
		}
		if alone || other.stopped {
			r.stopped[other.build] = true
		}
		other.end(&FailedError{messages.Failure{
			Class: messages.FailureInfrastructure, Reason: "the builder's disk filled up while the build ran, and it was stopped: " + short.Error(),
			Fix: "make room on the builder's disk",
		}})
	}
	clear(r.running)
}
