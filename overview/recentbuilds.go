package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// BuildsShown is how many of the builds that have ended are listed where nothing else is asked for.
const BuildsShown = 100

// RecentBuilds lists builds, the newest first: those that have not ended, the last of each pipeline, and of the
// others as many as most that were written last. Pipeline is the only one to list, or "".
func RecentBuilds(ctx context.Context, q *queue.Client, most int, pipeline string) ([]Build, error) {
	of := func(e queue.Entry[messages.BuildRecord]) bool { return pipeline == "" || e.Value.Pipeline == pipeline }
	records, broken, err := store.Builds(q).Latest(ctx, most, of)
	if err != nil {
		return nil, err
	}
	asked, err := builds.New(q).Asked(ctx)
	if err != nil {
		return nil, err
	}
	rows := map[string]Build{}
	for _, e := range records {
		rows[e.Key] = BuildOf(&e.Value)
	}
	for _, u := range broken {
		rows[u.Key] = Build{Build: u.Key, State: StateBroken, Updated: u.Written, Broken: unreadRecord(u.Err)}
	}
	for _, a := range asked {
		if pipeline == "" || a.Pipeline.Name == pipeline {
			row := askedRow(&a)
			rows[cmp.Or(a.Build, row.Broken)] = row
		}
	}
	out := make([]Build, 0, len(rows))
	for _, b := range rows {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Build) int {
		return cmp.Or(cmp.Compare(b.Order, a.Order), strings.Compare(a.Build, b.Build))
	})
	line(out)
	expect(out, time.Now())
	return out, Hear(ctx, q, out)
}

// BuildOf is a build that has a record.
func BuildOf(r *messages.BuildRecord) Build {
	state := string(r.State)
	if r.Queued() {
		state = StateQueued
	}
	var why *messages.Reason
	if r.Reason != nil || r.Cause != "" { // a record of before there were causes doesn't tell
		why = new(r.Why())
	}
	return Build{
		Build: r.Build, Order: r.Order, Pipeline: r.Pipeline, State: state, Ref: r.Ref, Commit: r.Commit, Cause: r.Cause, Reason: why, By: r.By, Matched: r.Matched, Attempt: r.Attempt,
		Worker: r.Worker, Image: r.Image, Received: r.Received, Updated: r.Updated, Failure: r.Failure, LastError: r.LastError, OnlyIf: r.OnlyIf, Unchanged: r.Unchanged,
		Cancelled: r.Cancelled, Started: r.Started, Took: r.Took,
		Head: r.Head, FollowedBy: r.FollowedBy, Waiting: r.Waiting, Trace: r.Trace, claim: r.Claim, request: r.Request,
	}
}

// askedRow is a build whose request is there.
func askedRow(a *builds.Asked) Build {
	switch {
	case a.Record != nil:
		return BuildOf(&a.Record.Value)
	case a.Broken != nil && a.Build != "":
		return Build{Build: a.Build, Order: a.Order, Pipeline: a.Pipeline.Name, State: StateBroken, Commit: a.Commit, Received: a.Received, Broken: unreadRecord(a.Broken)}
	case a.Broken != nil:
		return Build{Order: a.Order, Pipeline: a.Pipeline.Name, State: StateBroken, Broken: fmt.Sprintf("request %d can't be read, and becomes a dead letter: %v", a.Order, a.Broken)}
	}
	why := a.Why()
	return Build{
		Build: a.Build, Order: a.Order, Pipeline: a.Pipeline.Name, State: StateQueued, Ref: a.FullRef(), Commit: a.Commit,
		Cause: a.Cause, Reason: &why, By: a.RequestedBy, Matched: a.Matched, Received: a.Received, Newer: a.Newer, OnlyIf: a.OnlyIf,
		inTurn: a.InTurn(), request: a.Sequence,
	}
}

// line counts for each queued build how many of earlier pushes it waits for, where its pipeline has each built in its turn.
func line(all []Build) {
	for i := range all {
		if !all[i].inTurn {
			continue
		}
		for j := range all {
			b, e := &all[i], &all[j]
			waits := e.State == StateQueued && e.Newer == "" || e.State == string(messages.BuildStateRunning)
			if waits && e.Pipeline == b.Pipeline && e.Ref == b.Ref && e.Cause == messages.CausePush && e.Order < b.Order {
				b.Ahead++
			}
		}
	}
}

// unreadRecord says what becomes of a build whose record can't be read.
func unreadRecord(err error) string {
	return fmt.Sprintf("its record can't be read, and its request becomes a dead letter, which can be sent again: %v", err)
}

// Hear looks when the workers of running builds were heard.
func Hear(ctx context.Context, q *queue.Client, all []Build) error {
	if !slices.ContainsFunc(all, func(b Build) bool { return b.State == string(messages.BuildStateRunning) && !b.Waiting }) {
		return nil
	}
	beats, err := store.Beats(q).List(ctx)
	if err != nil {
		return err
	}
	info, err := store.Builds(q).Info(ctx)
	if err != nil {
		return err
	}
	for _, e := range beats {
		for i := range all {
			if b := &all[i]; b.claim == e.Value.Claim && b.State == string(messages.BuildStateRunning) {
				b.Silence = Silence(&e.Value, info.Now.Sub(e.Created))
			}
		}
	}
	return nil
}

// Silence says of a worker that was heard so long ago when another one takes its build over; nothing while it is heard.
func Silence(b *messages.BuildBeat, heard time.Duration) string {
	if !b.Silent(heard) {
		return ""
	}
	said := fmt.Sprintf("%s was not heard for %s, ", b.Worker, heard.Round(time.Second))
	if left := b.AckWait.Std() - heard; left > 0 {
		return said + fmt.Sprintf("another builder takes over in %s", left.Round(time.Second))
	}
	return said + "any builder that is free takes over"
}

// LastsOf adds, for pipelines whose builds in all neither made an image nor failed, the last that did: it can be older
// than what is listed.
func LastsOf(ctx context.Context, q *queue.Client, all []Build) ([]Build, error) {
	decided := map[string]bool{}
	for _, b := range all {
		decided[b.Pipeline] = decided[b.Pipeline] || b.Failure != nil || b.State == string(messages.BuildStateSucceeded)
	}
	space := q.Space()
	for pipeline, done := range decided {
		if done || pipeline == "" {
			continue
		}
		for _, t := range []messages.Type{messages.TypeBuildFailed, messages.TypeImageReady} {
			m, err := q.Last(ctx, space.EventsStream(), space.AnyVersion(t, pipeline, "*"))
			if errors.Is(err, queue.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			e, err := store.Builds(q).Get(ctx, m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
			if err == nil {
				all = append(all, BuildOf(&e.Value))
			} else if !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
				return nil, err
			}
		}
	}
	return all, nil
}
