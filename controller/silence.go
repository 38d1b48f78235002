package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// noteSilence has members' records say who is silent, and who is no longer: a heartbeat that expired
// tells nobody when it was sent. It is for people; nothing is decided by it.
func (f *fleetActor) noteSilence(ctx context.Context) error {
	var failed error
	for name, silent := range f.views.silenceToNote(f.fleet, f.began, time.Now()) {
		key := messages.NodeKey(f.fleet, name)
		e, err := store.Members(f.Queue).Get(ctx, key)
		if err == nil && e.Value.Silent != silent {
			e.Value.Silent = silent
			e.Revision, err = store.Members(f.Queue).Update(ctx, key, e.Value, e.Revision)
		}
		switch {
		case errors.Is(err, queue.ErrNotFound), errors.Is(err, queue.ErrMoved): // retired meanwhile
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("noting whether node %s is silent: %w", name, err))
		default:
			f.views.noteMember(e)
		}
	}
	return failed
}

// mostNoted bounds how many records one pass corrects, as a decision must not wait for them.
const mostNoted = 100

// silenceToNote lists the members, mostNoted at most, whose records say wrongly whether they are silent, and what is true.
// One that was never heard counts from when this controller began to listen.
func (v *views) silenceToNote(fleet string, began, now time.Time) map[string]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := map[string]bool{}
	for key := range v.members {
		f, node, _ := messages.ParseNodeKey(key)
		if f != fleet {
			continue
		}
		since := now.Sub(began)
		heard, ever := v.heard[key]
		if ever {
			since = min(since, now.Sub(heard))
		}
		if len(out) == mostNoted {
			break
		}
		switch noted := v.silent[key]; {
		case !noted && since >= messages.SilentAfter:
			out[node] = true
		case noted && ever && now.Sub(heard) < messages.SilentAfter:
			out[node] = false
		}
	}
	return out
}
