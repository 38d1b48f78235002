package builds

import (
	"context"
	"errors"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// heard has a sign of life written for the attempt, each time that its lease is confirmed, for people who
// ask what it does. That one is lost is no harm.
func (a *attempt) heard() {
	beat := messages.BuildBeat{Worker: a.w.Worker, Claim: a.claim, AckWait: messages.Duration(a.d.AckWait())}
	beats, key := store.Beats(a.w.q.c), store.BeatKey(a.request.Build)
	a.d.Beaten(func() { _ = beats.Note(key, beat) })
}

// unheard ends that. Past its lease the attempt leaves what stands there alone: it may be another's.
func (a *attempt) unheard() {
	alive := a.d.Alive()
	a.d.Beaten(nil)
	if alive {
		_ = store.Beats(a.w.q.c).NoteGone(store.BeatKey(a.request.Build))
	}
}

// dropBeats removes what is left of signs of life of builds that nobody has any more.
func (q *Queue) dropBeats(ctx context.Context) error {
	beats := store.Beats(q.c)
	subjects, err := q.c.Subjects(ctx, queue.Bucket(q.c.Space().BuildsBucket(), 1).Name, beats.Subject(store.BeatKey("*")))
	if err != nil {
		return err
	}
	for subject := range subjects {
		key := strings.TrimPrefix(subject, beats.Subject(""))
		if e, ok := q.sweeps.unfinished[strings.TrimPrefix(key, store.BeatKey(""))]; ok && !e.Value.Ended() {
			continue
		}
		e, err := beats.Current(ctx, key)
		if e.Revision == 0 && errors.Is(err, queue.ErrNotFound) { // another sweep was first
			continue
		}
		if e.Revision == 0 {
			return err
		}
		if err := beats.Forget(ctx, key, e.Revision); err != nil {
			return err
		}
	}
	return nil
}
