package producer

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/metrics"
)

// countedQueue counts what is stored in a queue.
type countedQueue struct {
	Queue
	counts *metrics.Producer
}

// Request counts what became of it.
func (q countedQueue) Request(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error) {
	return q.count(r, func() (builds.Accepted, error) { return q.Queue.Request(ctx, r, traceparent) })
}

// RequestHead counts what became of it.
func (q countedQueue) RequestHead(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error) {
	return q.count(r, func() (builds.Accepted, error) { return q.Queue.RequestHead(ctx, r, traceparent) })
}

func (q countedQueue) count(r *messages.BuildRequested, request func() (builds.Accepted, error)) (builds.Accepted, error) {
	began := time.Now()
	a, err := request()
	reason := string(r.Why().Kind)
	if err != nil {
		q.counts.NotStored(r.Pipeline.Name, reason)
		return a, err
	}
	q.counts.Stored(r.Pipeline.Name, reason, a.Duplicate, time.Since(began))
	return a, nil
}

// The sources of what comes over HTTP that are no forges.
const (
	sourceRegistry = "registry"
	sourceCall     = "call"
	sourceOther    = "other"
)

// sources lists where what comes over HTTP can be from.
func sources() []string { return append(forgeNames(), sourceRegistry, sourceCall, sourceOther) }

// sourceOf is where a request is from that came to a route of a kind.
func sourceOf(kind, path string) string {
	switch kind {
	case kindWebhook:
		if forge := strings.TrimPrefix(path, "/hooks/"); forge != "" {
			return forge
		}
	case kindNotification:
		return sourceRegistry
	case kindCall:
		return sourceCall
	}
	return sourceOther
}

// outcomeOf is what became of a request that was answered.
func outcomeOf(n *note) string {
	switch {
	case n.status >= http.StatusInternalServerError:
		return metrics.Failed
	case n.call.Outcome == messages.OutcomeRefused:
		return metrics.Refused
	case n.call.Outcome == messages.OutcomeIgnored:
		return metrics.Ignored
	case n.reads:
		return metrics.Asked
	}
	return metrics.Accepted
}

// tell has metrics tell how the pipeline file and the certificate are.
func (p *Producer) tell() {
	p.metrics.Sources(sources())
	p.metrics.File(func() metrics.PipelineFile {
		p.file.lock.Lock()
		defer p.file.lock.Unlock()
		return metrics.PipelineFile{Pipelines: len(p.file.state.Pipelines), Refused: p.file.state.Error != "", Loaded: p.file.state.Loaded}
	})
}
