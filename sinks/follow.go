package sinks

import (
	"context"
	"errors"
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
	// unnotedMost is how many events may be sent of which it is not yet written down that the sink has taken them: after a kill
	// so many are sent again.
	unnotedMost = 16
	// idle is how long nothing may happen until it is looked whether something is to be done.
	idle = time.Minute
)

// sink is one sink while this worker sends to it. All but the tries is done by one goroutine.
type sink struct {
	form.Sink
	w       *Worker
	tail    *tail
	log     zerolog.Logger
	records *queue.Records[messages.SinkRecord]
	streams []string // that it is sent messages of
	client  *client

	record   messages.SinkRecord
	revision uint64
	dirty    bool // what is written down is not how it is

	reading map[string]*reading
	line    line
	results chan result
	sending int

	writes         chan written // how the write under way went
	writing        bool
	unnoted, noted int // events that were taken: which no record says, and which the one says that is being written

	failures int       // in a row, of a sink that is away
	wrong    int       // events in a row that were given up as the sink calls them wrong
	pause    time.Time // until when nothing is sent
	problem  string
	newer    bool // that messages of a newer version are passed over was said
}

func (w *Worker) newSink(f form.Sink, t *tail) *sink {
	s := &sink{
		Sink: f, w: w, tail: t, log: w.Logger.With().Str("sink", f.Name).Logger(), records: store.Sinks(w.Queue),
		reading: map[string]*reading{}, results: make(chan result, atOnce), writes: make(chan written, 1),
		client: newClient(),
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
	defer s.finish(ctx)
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

// finish takes in what is on its way, and writes down a last time how far the sink is, unless another worker may have the lease.
func (s *sink) finish(ctx context.Context) {
	s.await() // what a sink has taken is known then
	if errors.Is(context.Cause(ctx), queue.ErrLeaseLost) {
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	_ = s.save(last) // else it is sent twice
}

// await waits for what is on its way to the sink.
func (s *sink) await() {
	for s.sending > 0 {
		s.settle(<-s.results)
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
	s.write(ctx)
	then := s.start(ctx)
	s.tell()
	wake := time.NewTimer(min(then, idle, s.w.Refresh))
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
	case w := <-s.writes:
		return s.wrote(w)
	case <-changed:
	case <-wake.C:
	case <-ctx.Done():
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
	for s.sending < atOnce && s.sending+s.unnoted+s.noted < unnotedMost {
		it, then := s.line.next(now, s.horizon(), s.tail.settles)
		if it == nil {
			if then.IsZero() {
				return idle
			}
			return time.Until(then)
		}
		if s.failures > 0 && s.sending > 0 {
			return idle // one is enough to see whether it is back
		}
		it.sending, s.sending = true, s.sending+1
		failed := s.failures > 0
		go func() {
			ctx, done := outlasting(ctx)
			defer done()
			s.results <- s.send(ctx, it, failed)
		}()
	}
	return idle
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
