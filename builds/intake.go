package builds

import (
	"context"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

const (
	// batchFrom is how many requests are stored as a batch at least. A batch is synced once,
	// and costs as much as some 15 writes of their own, as nats-server 2.15 stages it on disk.
	batchFrom = 20
	// requestTime bounds what one request may take of a round.
	requestTime = 10 * time.Second
	// lingerMost bounds how long a round waits for those who are likely to come.
	lingerMost = 10 * time.Millisecond
)

// intake collects the requests that come while others are being stored: all that wait are
// the next round, and a large round is stored together. It remembers, for each pipeline,
// the last request that this client knows of, so that accepting one normally takes a single
// write.
type intake struct {
	mu        sync.Mutex
	waiting   []*waiting
	wanted    int // how many have enough closed; 0 while nobody waits for that
	enough    chan struct{}
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

// join lets w wait for the next round, or has it be one by itself where none is under way.
func (i *intake) join(w *waiting) (alone bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.busy {
		i.busy = true
		return true
	}
	i.waiting = append(i.waiting, w)
	if i.wanted > 0 && len(i.waiting) >= i.wanted {
		i.wanted = 0
		close(i.enough)
	}
	return false
}

// linger waits, after a round of n that took some time, until as many wait as were under way: those who were answered are likely
// to have more. What a batch costs hardly depends on how many are in it. It waits for a part of the time that the round took,
// and not at all where a round is too small to be a batch.
func (i *intake) linger(n int, took time.Duration) {
	i.mu.Lock()
	if n < batchFrom {
		i.mu.Unlock()
		return
	}
	i.wanted, i.enough = min(len(i.waiting)+n, queue.BatchMost), make(chan struct{})
	enough := i.enough
	if len(i.waiting) >= i.wanted {
		i.wanted = 0
		close(enough)
	}
	i.mu.Unlock()
	late := time.NewTimer(min(took/2, lingerMost))
	defer late.Stop()
	select {
	case <-enough:
	case <-late.C:
		i.mu.Lock()
		defer i.mu.Unlock()
		i.wanted = 0
	}
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

// takeInAlone holds a round of w alone, where its caller waits, and then those of who came meanwhile: a lone request is
// handed to nobody.
func (q *Queue) takeInAlone(w *waiting) answer {
	defer func() {
		if round := q.intake.next(); round != nil {
			go q.takeIn(round)
		}
	}()
	return q.takeInOne(w, q.intake.of(w.request.Pipeline.Name))
}

// takeIn holds a round, and others until nobody waits.
func (q *Queue) takeIn(round []*waiting) {
	for ; round != nil; round = q.intake.next() {
		began := time.Now()
		var pipelines sync.WaitGroup
		for l, line := range q.intake.split(q.together(round)) {
			pipelines.Go(func() {
				for _, w := range line {
					w.answer <- q.takeInOne(w, l)
				}
			})
		}
		pipelines.Wait()
		q.intake.linger(len(round), time.Since(began))
	}
}

// takeInOne stores w by itself.
func (q *Queue) takeInOne(w *waiting, l *lastRequest) answer {
	ctx, cancel := context.WithTimeout(w.ctx, requestTime) // others wait for the round
	defer cancel()
	a, err := q.request(ctx, w.request, w.message, l)
	return answer{a, err}
}

// split sorts a round by pipeline.
func (i *intake) split(round []*waiting) map[*lastRequest][]*waiting {
	lines := map[*lastRequest][]*waiting{}
	for _, w := range round {
		l := i.of(w.request.Pipeline.Name)
		lines[l] = append(lines[l], w)
	}
	return lines
}

// together stores those of a round that need no second look as one batch, and returns the
// others, which is everybody where there are too few or the batch fails: all of it is
// stored or none.
func (q *Queue) together(round []*waiting) []*waiting {
	if len(round) < batchFrom {
		return round
	}
	batch, others := q.intake.pick(round)
	if len(batch) < batchFrom || !q.takesBatches(batch[0].ctx) {
		return round
	}
	last, err := q.storeBatch(batch)
	if err != nil {
		q.c.Logger().Debug().Err(err).Int("requests", len(batch)).Msg("not stored together, now one by one")
		for _, w := range batch { // it may be stored, and only the answer lost
			q.intake.of(w.request.Pipeline.Name).known = false
		}
		q.intake.batches = nil
		return round
	}
	for n, w := range batch {
		a := q.intake.of(w.request.Pipeline.Name).accept(w.request, last-uint64(len(batch)-1-n))
		w.answer <- answer{accepted: a}
	}
	return others
}

// pick takes the requests that can be in a batch: those of pipelines whose last request is
// known and asked for something else. The others of a pipeline stay behind its first that
// can't, so that none is overtaken.
func (i *intake) pick(round []*waiting) (batch, others []*waiting) {
	for l, line := range i.split(round) {
		last := l.request
		for n, w := range line {
			if !l.known || last != nil && (last.Serves(w.request) || otherRef(last, w.request)) || w.ctx.Err() != nil || len(batch) == queue.BatchMost {
				others = append(others, line[n:]...)
				break
			}
			batch, last = append(batch, w), w.request
		}
	}
	return batch, others
}

// takesBatches tells whether the stream takes batches.
func (q *Queue) takesBatches(ctx context.Context) bool {
	if q.intake.batches == nil {
		takes, err := q.c.TakesBatches(ctx, q.c.Space().RequestsStream())
		if err != nil {
			return false
		}
		q.intake.batches = &takes
	}
	return *q.intake.batches
}

// storeBatch stores requests that are sorted by pipeline, and returns the last one's
// sequence; the others' are those before it. The first of each pipeline passes only after
// the last one that is known, and all others with it.
func (q *Queue) storeBatch(batch []*waiting) (uint64, error) {
	out := make([]queue.Outgoing, 0, len(batch))
	for n, w := range batch {
		pipeline := w.request.Pipeline.Name
		extra := []queue.Header{queue.MessageID(w.request.Build)}
		if n == 0 || pipeline != batch[n-1].request.Pipeline.Name {
			extra = append(extra, q.afterLast(pipeline, q.intake.of(pipeline).sequence)...)
		}
		out = append(out, queue.Outgoing{Subject: q.c.Space().RequestSubject(pipeline), Message: w.message, Headers: extra})
	}
	// Those who wait no longer don't take the others' answer with them.
	return q.c.StoreBatch(context.WithoutCancel(batch[len(batch)-1].ctx), out)
}
