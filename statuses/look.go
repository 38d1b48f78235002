package statuses

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// view is what is to be told of a commit.
type view struct {
	route          *route
	build          string
	request        uint64 // sequence of the build's request
	commit, branch string // branch is the tag's name where there is one
	ref            string // in full
	status         Status
}

func (v *view) key() string { return messages.ForgeStatusKey(v.route.Pipeline, v.commit) }

// pace is how long a status whose counts move is left as it is: the longer, the longer it has moved, so that they are few
// however long it does.
func (v *view) pace(least, age time.Duration) time.Duration {
	return min(max(least, age/10), 10*time.Minute)
}

// look reads what is to be told, from the leaders, so that it is not older than the hint. It is nil where there is
// nothing to tell.
func (w *Worker) look(ctx context.Context, a about) (*view, error) {
	e, err := store.Builds(w.Queue).Current(ctx, a.build)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		if a.request == nil || a.request.Commit == "" {
			return nil, nil //nolint:nilnil // nothing is known of it any more
		}
		q := a.request
		if q.OnlyIf != "" {
			return nil, nil //nolint:nilnil // it may come to nothing: see untold
		}
		return w.view(q.Pipeline.Name, q.Build, q.Commit, q.FullRef(), a.sequence, Status{Queued, "queued" + because(q.Why())}), nil
	case errors.Is(err, messages.ErrMalformed):
		w.Logger.Warn().Err(err).Str("build", a.build).Msg("a build's record can't be read: its forge is told nothing")
		return nil, nil //nolint:nilnil // nobody can
	case err != nil:
		return nil, fmt.Errorf("reading what became of build %s: %w", a.build, err)
	}
	r := &e.Value
	if r.Commit == "" || w.routes[r.Pipeline] == nil {
		return nil, nil //nolint:nilnil // it was made of a context, or nobody is to be told
	}
	if untold(r) {
		return nil, nil //nolint:nilnil // what was told before stands
	}
	if err := messages.CheckCommit(r.Commit); err != nil { // it would be another address of the forge's API
		w.Logger.Warn().Err(err).Str("build", a.build).Msg("a build's record names no commit: its forge is told nothing")
		return nil, nil //nolint:nilnil // nobody can
	}
	if known, err := w.believed(ctx, r); !known {
		return nil, err
	}
	status, fleets := ofBuild(r)
	if len(fleets) > 0 {
		if status, err = w.lookAtFleets(ctx, fleets, r.Build); err != nil {
			return nil, err
		}
	}
	return w.view(r.Pipeline, r.Build, r.Commit, r.Ref, r.Request, status), nil
}

// untold tells whether nothing is told of a build: of one that is done only if something has changed, before it came to an image
// or failed. What the forge knows of the commit stands until then, and for good where nothing has changed.
func untold(r *messages.BuildRecord) bool {
	return r.OnlyIf != "" && r.State != messages.BuildStateSucceeded && r.State != messages.BuildStateFailed
}

// believed tells whether an image that a build's record announces is what its request asked for, as controllers ask before they act on it: a
// builder writes its records by itself.
func (w *Worker) believed(ctx context.Context, r *messages.BuildRecord) (bool, error) {
	if r.State != messages.BuildStateSucceeded {
		return true, nil
	}
	var m *messages.ImageReady
	err := errors.New("it has none")
	if r.Outcome != nil {
		_, m, err = messages.DecodeAs[*messages.ImageReady](*r.Outcome)
	}
	if err == nil && m.Image != r.Image {
		err = fmt.Errorf("it names %s, the record %s", m.Image, r.Image)
	}
	if err != nil {
		w.Logger.Warn().Err(err).Str("build", r.Build).Msg("what a build's record announces is not believed: its forge is told nothing")
		return false, nil //nolint:nilerr // it is logged
	}
	_, err = store.BelieveRecord(ctx, w.Queue, m.BuildRef, r, m.Fleets)
	switch {
	case err == nil:
	case queue.IsPermanent(err):
		w.Logger.Warn().Err(err).Str("build", r.Build).Msg("the forge is told nothing of an image")
		return false, nil
	case errors.Is(err, queue.ErrForbidden): // a user from before that was asked
		w.unread.Do(func() {
			w.Logger.Warn().Err(err).Msg("announced images can't be held against their requests: give this role's user the rights that 'fenceline init' gives the user statuses")
		})
	default:
		return false, fmt.Errorf("reading what build %s was asked for: %w", r.Build, err)
	}
	return true, nil
}

func (w *Worker) view(pipeline, build, commit, ref string, request uint64, s Status) *view {
	branch := strings.TrimPrefix(strings.TrimPrefix(ref, messages.TagRefs), messages.BranchRefs)
	t := w.routes[pipeline]
	s.Text = t.Forge.Text(s.Text)
	return &view{t, build, request, commit, branch, ref, s}
}

func (w *Worker) lookAtFleets(ctx context.Context, fleets []messages.FleetTarget, build string) (Status, error) {
	found := map[string]*messages.RolloutRecord{}
	for _, f := range fleets {
		e, err := store.Rollouts(w.Queue).Current(ctx, messages.RolloutID(f.Fleet, build))
		switch {
		case err == nil:
			found[f.Fleet] = &e.Value
		case !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed):
			return Status{}, fmt.Errorf("reading how far build %s is in fleet %s: %w", build, f.Fleet, err)
		}
	}
	return ofRollouts(fleets, func(fleet string) *messages.RolloutRecord { return found[fleet] }), nil
}

// told is what the forge was told last of a commit, and the revision of the record of that.
type told struct {
	messages.ForgeStatus
	revision uint64
}

func (w *Worker) told(ctx context.Context, v *view) (told, error) {
	e, err := store.ForgeStatuses(w.Queue).Current(ctx, v.key())
	if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
		return told{}, fmt.Errorf("reading what the forge was told of %s: %w", v.build, err)
	}
	return told{e.Value, e.Revision}, nil
}

// settles tells whether nothing is left to be told: the forge knows it, or of a later build of the commit.
func (t told) settles(v *view) bool {
	if t.Build != v.build {
		return t.Request > v.request
	}
	return t.State == string(v.status.State) && t.Text == v.status.Text && t.Context == v.route.Context
}
