package queue

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/fenceline/fenceline/messages"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// batchFrom is how many requests are stored as a batch at least. A batch is synced once,
	// and costs as much as some 15 writes of their own, as nats-server 2.15 stages it on disk.
	batchFrom = 20
	// batchMost bounds a batch, far below nats-server's limit of 1,000 messages.
	batchMost = 256
	// requestTime bounds what one request may take of a round.
	requestTime = 2 * answerTime
)

// The headers of an atomic batch, as ADR-50 of NATS has them.
const (
	batchID       = "Nats-Batch-Id"
	batchSequence = "Nats-Batch-Sequence"
	batchCommit   = "Nats-Batch-Commit"
)

// intake collects the requests that come while others are being stored: all that wait are
// the next round, and a large round is stored together. It remembers, for each pipeline,
// the last request that this client knows of, so that accepting one normally takes a single
// write.
type intake struct {
	mu        sync.Mutex
	waiting   []*waiting
	busy      bool                    // a round is under way
	pipelines map[string]*lastRequest // the round's
	batches   *bool                   // the round's: whether the stream takes batches, nil where that isn't known
}

// waiting is a request and the one who waits for its answer.
type waiting struct {
	ctx     context.Context //nolint:containedctx // of the one who waits
	request *messages.BuildRequested
	message messages.Message
	answer  chan answer // takes one
}

type answer struct {
	accepted Accepted
	err      error
}

// lastRequest is what is known of a pipeline's last request.
type lastRequest struct {
	known    bool
	sequence uint64                   // 0: the pipeline has none
	request  *messages.BuildRequested // nil where it could not be decoded
}

// join lets w wait for the next round, and tells whether there is nobody to begin it.
func (i *intake) join(w *waiting) (begin bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.waiting = append(i.waiting, w)
	begin, i.busy = !i.busy, true
	return begin
}

// next returns those who wait, or nil and an end to the rounds.
func (i *intake) next() []*waiting {
	i.mu.Lock()
	defer i.mu.Unlock()
	round := i.waiting
	i.waiting, i.busy = nil, round != nil
	return round
}

func (i *intake) of(pipeline string) *lastRequest {
	if i.pipelines == nil {
		i.pipelines = map[string]*lastRequest{}
	}
	l := i.pipelines[pipeline]
	if l == nil {
		l = &lastRequest{}
		i.pipelines[pipeline] = l
	}
	return l
}

// takeIn holds rounds until nobody waits.
func (c *Client) takeIn() {
	for round := c.intake.next(); round != nil; round = c.intake.next() {
		var pipelines sync.WaitGroup
		for l, queue := range c.intake.split(c.together(round)) {
			pipelines.Go(func() {
				for _, w := range queue {
					ctx, cancel := context.WithTimeout(w.ctx, requestTime) // others wait for the round
					a, err := c.request(ctx, w.request, w.message, l)
					cancel()
					w.answer <- answer{a, err}
				}
			})
		}
		pipelines.Wait()
	}
}

// split sorts a round by pipeline.
func (i *intake) split(round []*waiting) map[*lastRequest][]*waiting {
	queues := map[*lastRequest][]*waiting{}
	for _, w := range round {
		l := i.of(w.request.Pipeline.Name)
		queues[l] = append(queues[l], w)
	}
	return queues
}

// together stores those of a round that need no second look as one batch, and returns the
// others, which is everybody where there are too few or the batch fails: all of it is
// stored or none.
func (c *Client) together(round []*waiting) []*waiting {
	if len(round) < batchFrom {
		return round
	}
	batch, others := c.intake.pick(round)
	if len(batch) < batchFrom || !c.takesBatches(batch[0].ctx) {
		return round
	}
	last, err := c.storeBatch(batch)
	if err != nil {
		c.log.Debug().Err(err).Int("requests", len(batch)).Msg("not stored together, now one by one")
		for _, w := range batch { // it may be stored, and only the answer lost
			c.intake.of(w.request.Pipeline.Name).known = false
		}
		c.intake.batches = nil
		return round
	}
	for n, w := range batch {
		a := c.intake.of(w.request.Pipeline.Name).accept(w.request, last-uint64(len(batch)-1-n))
		w.answer <- answer{accepted: a}
	}
	return others
}

// pick takes the requests that can be in a batch: those of pipelines whose last request is
// known and asked for something else. The others of a pipeline stay behind its first that
// can't, so that none is overtaken.
func (i *intake) pick(round []*waiting) (batch, others []*waiting) {
	for l, queue := range i.split(round) {
		last := l.request
		for n, w := range queue {
			if !l.known || last != nil && last.SamePush(w.request) || w.ctx.Err() != nil || len(batch) == batchMost {
				others = append(others, queue[n:]...)
				break
			}
			batch, last = append(batch, w), w.request
		}
	}
	return batch, others
}

// takesBatches tells whether the stream takes batches. A server that doesn't know them would
// store each message by itself, so it is asked for before.
func (c *Client) takesBatches(ctx context.Context) bool {
	if c.intake.batches == nil {
		s, err := c.js.Stream(ctx, c.space.RequestsStream())
		if err != nil {
			return false
		}
		c.intake.batches = &s.CachedInfo().Config.AllowAtomicPublish
	}
	return *c.intake.batches
}

// storeBatch stores requests that are sorted by pipeline, and returns the last one's
// sequence; the others' are those before it. The first of each pipeline passes only after
// the last one that is known, and all others with it.
func (c *Client) storeBatch(batch []*waiting) (uint64, error) {
	id := messages.NewID()
	for n, w := range batch {
		pipeline := w.request.Pipeline.Name
		extra := []header{{jetstream.MsgIDHeader, w.request.Build}, {batchID, id}, {batchSequence, strconv.Itoa(n + 1)}}
		if n == 0 || pipeline != batch[n-1].request.Pipeline.Name {
			extra = append(extra, c.expectRequest(pipeline, c.intake.of(pipeline).sequence)...)
		}
		if n == len(batch)-1 { // those who wait no longer don't take the others' answer with them
			return c.store(context.WithoutCancel(w.ctx), c.space.RequestSubject(pipeline), w.message, append(extra, header{batchCommit, "1"})...)
		}
		if err := c.nc.PublishMsg(natsMessage(c.space.RequestSubject(pipeline), w.message, extra)); err != nil {
			return 0, classify(err)
		}
	}
	return 0, errors.New("storing an empty batch")
}
