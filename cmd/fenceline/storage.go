package main

import (
	"context"
	"errors"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"golang.org/x/sync/errgroup"
)

// storageOf is what metrics ask of NATS over a controller's connection.
func storageOf(q *queue.Client) metrics.Storage {
	line := builds.New(q)
	return metrics.Storage{
		Backlog: func(ctx context.Context) (metrics.Backlog, error) {
			b, err := line.Backlog(ctx)
			out := metrics.Backlog{Taken: b.Taken}
			for _, p := range b.Pipelines {
				out.Pipelines = append(out.Pipelines, metrics.PipelineBacklog(p))
			}
			return out, err
		},
		Letters: line.Letters,
		Streams: func(ctx context.Context) ([]metrics.Stream, error) { return streamsOf(ctx, q) },
		Account: q.Account,
	}
}

// streamsOf asks how full the installation's streams are. Those that are not there, as in an older installation, or
// that the credential may not ask for, are left out.
func streamsOf(ctx context.Context, q *queue.Client) ([]metrics.Stream, error) {
	names := store.Streams(q.Space())
	all := make([]metrics.Stream, len(names))
	asked, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		asked.Go(func() error {
			info, err := q.Info(ctx, name)
			if errors.Is(err, queue.ErrUnavailable) {
				return err
			}
			if err == nil {
				all[i] = metrics.Stream{Name: name, Bytes: info.Bytes, Limit: info.MaxBytes, Refuses: info.Refuses}
			}
			return nil
		})
	}
	if err := asked.Wait(); err != nil {
		return nil, err
	}
	var there []metrics.Stream
	for _, s := range all {
		if s.Name != "" {
			there = append(there, s)
		}
	}
	return there, nil
}
