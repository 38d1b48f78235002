package builder

import (
	"context"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// A pipeline can have a build end as soon as its branch is pushed to again (cancel_running).

const (
	// yieldLook bounds one look at the head that a push told of, so that the build ends within 2 seconds of it.
	yieldLook = time.Second
	// yieldPause is between looks while the host shows the commit that is built: it lags, or the webhook of an earlier
	// push came late.
	yieldPause = time.Second
)

// yield ends the build when its branch is pushed to again, where its pipeline says so. What it returns ends that, too, and
// waits for it.
func (a *running) yield(ctx context.Context, token messages.Secret, end context.CancelCauseFunc) (stop func()) {
	if a.branch == nil || a.anyway || !a.request.Pipeline.CancelRunning || !a.request.Yields() {
		return func() {}
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		// Trouble with the queue ends with ctx.
		_ = a.branch.Pushes(ctx, func(commit string) {
			head := a.newHead(ctx, token, commit)
			if head == "" || ctx.Err() != nil {
				return
			}
			if over := a.overtake(ctx, head); over != nil {
				over.running = true
				end(over)
			}
		})
	})
	return func() { end(nil); watching.Wait() }
}

// newHead is the branch's head after a push to it, by the repository if it answers, or "" where that is still the commit
// that is built.
func (a *running) newHead(ctx context.Context, token messages.Secret, pushed string) string {
	if pushed == a.request.Commit {
		return ""
	}
	for until := time.Now().Add(a.b.lag.usual); ; {
		bounded, cancel := context.WithTimeout(ctx, yieldLook)
		head, object, err := a.b.head(bounded, a.remote(token))
		cancel()
		switch {
		case err != nil:
			return pushed
		case head != a.request.Commit && object != a.request.Commit:
			if head != pushed && a.before(ctx, head) { // a mirror that lags
				return pushed
			}
			return head
		case time.Now().After(until) || !queue.Pause(ctx, yieldPause):
			return ""
		}
	}
}
