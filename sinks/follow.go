package sinks

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/rs/zerolog"
)

const (
	// batchMost and batchBytes bound what is read of a stream at one time. More is read when fewer than lineLeast wait.
	batchMost, batchBytes, lineLeast = 64, 1 << 20, 64
	// lineMost and lineBytes bound what is read for the sake of other fleets while much waits behind an event that fails.
	lineMost, lineBytes = 1024, 4 << 20
	// atOnce is how many events are on their way to a sink at one time, each of other fleets.
	atOnce = 4
	// goneLook is how often it is looked whether a sink that wanted no more has another address.
	goneLook = 15 * time.Second
)

// sink is one sink while this worker sends to it. All but the tries is done by one goroutine.
type sink struct {
	form.Sink
	w       *Worker
	tail    *tail
	log     zerolog.Logger
	records *queue.Records[messages.SinkRecord]
	streams []string // that it is sent messages of
	client  client

	record   messages.SinkRecord
	revision uint64
	dirty    bool // what is written down is not how it is

	reading map[string]*reading
	line    line
	results chan result
	sending int

	failures int       // in a row, of a sink that is away
	pause    time.Time // until when nothing is sent
	problem  string
	newer    bool // that messages of a newer version are passed over was said
}

func (w *Worker) newSink(f form.Sink, t *tail) *sink {
	s := &sink{
		Sink: f, w: w, tail: t, log: w.Logger.With().Str("sink", f.Name).Logger(), records: store.Sinks(w.Queue),
		reading: map[string]*reading{}, results: make(chan result, atOnce),
	}
	space := w.Queue.Space()
	asked := map[string]bool{space.SinksStream(): true}
	for _, t := range form.MessageTypes() {
		if !f.Asks(t) {
			continue
		}
		asked[streamOf(space, t)] = true
	}
	for _, stream := range store.SinkStreams(space) {
		if asked[stream] {
			s.streams = append(s.streams, stream)
		}
	}
	return s
}

// streamOf is the stream that has messages of a type.
func streamOf(s messages.Space, t messages.Type) string {
	switch t {
	case messages.TypeDeadLetter:
		return s.LettersStream()
	case messages.TypeDecisionMade:
		return s.DecisionsStream()
	case messages.TypeCallsAudited:
		return s.AuditStream()
	case messages.TypeRefusalsCounted:
		return s.RefusalsStream()
	}
	return s.EventStream(t)
}

// run sends events until ctx ends. Where NATS is away it waits.
func (s *sink) run(ctx context.Context) error {
	defer s.client.close()
	if err := s.insist(ctx, s.load); err != nil {
		return err
	}
	for {
		if s.record.Gone != "" {
			if err := s.awaitOther(ctx); err != nil {
				return err
			}
		}
		if err := s.turn(ctx); err != nil {
			return err
		}
	}
}

// insist repeats what NATS does not answer.
func (s *sink) insist(ctx context.Context, do func(context.Context) error) error {
	for try := 1; ; try++ {
		err := do(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, queue.ErrForbidden):
			return err
		}
		s.log.Warn().Err(err).Msg("sink waits")
		if !queue.Pause(ctx, queue.Backoff(s.w.Pause, try)) {
			return context.Cause(ctx)
		}
	}
}

// turn sends what can be sent now, and waits until something changes.
func (s *sink) turn(ctx context.Context) error {
	_, changed := s.tail.seen()
	if err := s.insist(ctx, s.refill); err != nil {
		return err
	}
	if err := s.insist(ctx, s.giveUpOld); err != nil {
		return err
	}
	if err := s.insist(ctx, s.save); err != nil { // before more is sent, so that little is sent twice after a crash
		return err
	}
	then := s.start(ctx)
	s.tell()
	wake := time.NewTimer(then)
	defer wake.Stop()
	select {
	case r := <-s.results:
		s.settle(r)
		for range s.sending {
			select {
			case r := <-s.results:
				s.settle(r)
			default:
			}
		}
	case <-changed:
	case <-wake.C:
	case <-ctx.Done():
		for s.sending > 0 { // what a sink has taken is known then
			s.settle(<-s.results)
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
		defer cancel()
		if !errors.Is(context.Cause(ctx), queue.ErrLeaseLost) {
			_ = s.save(last) // else it is sent twice
		}
		return context.Cause(ctx)
	}
	return nil
}

// outlasting is a context that goes on for lastWrite where the worker is told to end, so that what a sink has taken is known;
// but not where another worker may have the lease.
func outlasting(ctx context.Context) (context.Context, func()) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(context.Cause(ctx), queue.ErrLeaseLost) {
			cancel()
			return
		}
		time.AfterFunc(lastWrite, cancel)
	})
	return out, func() { stop(); cancel() }
}

// lastWrite bounds what is written down when the worker is told to end.
const lastWrite = 2 * time.Second

// start sends what can be sent, and tells after how long there may be more.
func (s *sink) start(ctx context.Context) time.Duration {
	now := time.Now()
	if s.pause.After(now) {
		return time.Until(s.pause)
	}
	for s.sending < atOnce {
		it, then := s.line.next(now, s.horizon(), s.tail.settles)
		if it == nil {
			if then.IsZero() {
				return refreshed
			}
			return time.Until(then)
		}
		if s.failures > 0 && s.sending > 0 {
			return refreshed // one is enough to see whether it is back
		}
		it.sending, s.sending = true, s.sending+1
		failed := s.failures > 0
		go func() {
			ctx, done := outlasting(ctx)
			defer done()
			s.results <- s.send(ctx, it, failed)
		}()
	}
	return refreshed
}

// horizon is up to when all is read; zero where all of all streams is.
func (s *sink) horizon() time.Time {
	var least time.Time
	for _, r := range s.reading {
		if !r.horizon.IsZero() && (least.IsZero() || r.horizon.Before(least)) {
			least = r.horizon
		}
	}
	return least
}

// refill reads more where little waits.
func (s *sink) refill(ctx context.Context) error {
	last, _ := s.tail.seen()
	for read := true; read && s.line.short(); {
		read = false
		for _, stream := range s.streams {
			end, ok := last[stream]
			if !ok {
				continue
			}
			r := s.reading[stream]
			if r == nil { // it can be read only now
				r = &reading{next: end + 1}
				s.reading[stream], s.dirty = r, true
			}
			if r.next > end+1 { // the stream is another than it was
				s.log.Warn().Str("stream", stream).Msg("a stream begins anew: it is read from its start")
				*r, s.dirty = reading{next: 1}, true
			}
			if r.next > end {
				continue
			}
			if err := s.readOn(ctx, stream, r, end); err != nil {
				return err
			}
			read = true
		}
		s.line.sort()
	}
	return nil
}

// readOn reads the next messages of a stream whose last one is end.
func (s *sink) readOn(ctx context.Context, stream string, r *reading, end uint64) error {
	space, filter := s.w.Queue.Space(), ">"
	if stream == space.SinksStream() {
		filter = space.AnyVersion(messages.TypeEventUndelivered, s.Name)
	}
	found, more, err := s.w.Queue.Next(ctx, stream, filter, r.next, batchMost, batchBytes)
	if err != nil {
		return err
	}
	r.horizon = time.Time{}
	for _, m := range found {
		if m.Sequence < r.next {
			continue
		}
		if m.Sequence > end { // it is read once the tail knows of it: a stream that is shorter than what was read is another
			more = false
			break
		}
		before := m.Sequence < r.until
		r.next = m.Sequence + 1
		if it := s.item(stream, m); it != nil && (!before || r.left[m.Sequence]) {
			s.line = append(s.line, it)
		}
		delete(r.left, m.Sequence)
	}
	if more && len(found) > 0 {
		r.horizon = found[len(found)-1].Time
	} else {
		r.next = max(r.next, end+1)
	}
	if r.next >= r.until {
		r.left = nil // what is not there any more is gone
	}
	s.dirty = true
	return nil
}

// item is what waits of a message; nil where the sink isn't sent it.
func (s *sink) item(stream string, m queue.Stored) *item {
	e, err := s.event(m)
	if errors.Is(err, messages.ErrNewer) && !s.newer {
		s.newer = true
		s.log.Warn().Err(err).Msg("messages of a newer fenceline are not sent to sinks")
	}
	if err != nil || e == nil {
		return nil
	}
	again := stream == s.w.Queue.Space().SinksStream() // somebody wants it sent
	if !again && (!s.Wants(e) || e.OfSinks(s.w.Queue.Space())) {
		return nil
	}
	return &item{stream: stream, stored: m, at: m.Time, lanes: slices.Clone(e.Lanes())}
}

// event is what a message tells; nil where that is nothing for sinks.
func (s *sink) event(m queue.Stored) (*form.Event, error) {
	r, err := s.w.Queue.Decode(m)
	if err != nil {
		return nil, err
	}
	if u, ok := r.Payload.(*messages.EventUndelivered); ok {
		r.Envelope, r.Payload, err = messages.Decode(u.Event)
		if err != nil {
			return nil, err
		}
		r.Message = u.Event
	}
	e, ok := s.w.Target.Site.Of(r.Envelope, r.Payload, r.Message.Body)
	if !ok {
		return nil, nil //nolint:nilnil // it is nothing for sinks
	}
	return e, nil
}

// tell tells metrics how much waits.
func (s *sink) tell() {
	oldest := time.Duration(0)
	if len(s.line) > 0 {
		oldest = s.tail.age(s.line[0].at)
	}
	s.w.Metrics.Waiting(s.Name, s.waiting(), oldest, s.record.Gone != "")
}

// waiting is how much is not delivered yet. What is not read yet counts, whether the sink wants it or not.
func (s *sink) waiting() int {
	if s.record.Gone != "" {
		return 0
	}
	last, _ := s.tail.seen()
	n := len(s.line)
	for stream, r := range s.reading {
		if end := last[stream]; end >= r.next {
			n += int(min(end-r.next+1, 1<<30))
		}
	}
	return n
}
