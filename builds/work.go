package builds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/tracing"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// The defaults of Work.
const (
	DefaultAckWait    = store.DefaultAckWait
	DefaultRetryDelay = time.Second
)

// Work says how a worker takes and does builds.
type Work struct {
	Worker     string        // its name, in records and events
	Slots      int           // builds at one time; 0 means 1
	AckWait    time.Duration // how long a build stays with a worker that went silent; 0 means DefaultAckWait. One for the installation: a longer one counts at once, a shorter one when a worker starts while no other waits for builds or has one
	RetryDelay time.Duration // before the second attempt, doubling then up to a minute, whatever the AckWait; 0 means DefaultRetryDelay
	Grace      time.Duration // how long builds may go on once ctx has ended, before they are handed back
	Logger     zerolog.Logger
	Metrics    *metrics.Builder // nil for none
	Tracer     *tracing.Tracer  // nil: nothing is traced

	// Build does one attempt. It returns an *ImageReady, *BuildFailed or *BuildSuperseded, or a *BuildCancelled that says why
	// nothing was built, whose BuildRef is set for it; or an error where infrastructure failed, and the build
	// is tried again, elsewhere perhaps, as long as its pipeline says. An error marked
	// queue.Permanent is not tried again, and a *LaterError is no failure. Its context ends with cause queue.ErrLeaseLost, ErrCancelled or
	// ErrShutdown; what it returns then does not matter, except that a result still counts
	// after ErrShutdown.
	Build func(ctx context.Context, j *Job) (messages.Payload, error)
	// Ready tells whether a build can be done here now. While it returns an error no request is
	// taken, which leaves them to others. It may be nil.
	Ready func(ctx context.Context) error
	// Tag puts the label for people on the image of a succeeded record, before the image is
	// announced. It may be called again for the same record. An image whose tag fails with an
	// error marked queue.Permanent, or five times, is announced without. It bounds its own time, which
	// the announcement and the worker's stop wait for. May be nil.
	Tag func(ctx context.Context, r messages.BuildRecord) error
}

// LaterError is what Build returns where nothing has failed but the build can't be done yet: it is given
// back, and comes again after a pause, which holds no slot.
type LaterError struct {
	Err   error // why
	After time.Duration
}

// Error is why the build can't be done yet.
func (e *LaterError) Error() string { return e.Err.Error() }

// Unwrap returns that.
func (e *LaterError) Unwrap() error { return e.Err }

func (w Work) check() error {
	switch {
	case w.Worker == "":
		return errors.New("taking builds: the worker has no name: set Work.Worker")
	case w.Build == nil:
		return errors.New("taking builds: there is nothing to build with: set Work.Build")
	case w.Slots < 0:
		return fmt.Errorf("taking builds: %d slots: use 1 or more", w.Slots)
	case w.AckWait != 0 && w.AckWait < 100*time.Millisecond:
		return fmt.Errorf("taking builds: an AckWait of %s is too short to be renewed: use a second or more", w.AckWait)
	}
	return nil
}

// Job is one attempt at a build.
type Job struct {
	Request  *messages.BuildRequested
	Envelope messages.Envelope // of the request, with the traceparent of the attempt
	Attempt  int               // from 1
	Wanted   bool              // a person wants the commit, whether it is a head or not

	d    *queue.Delivery
	q    *Queue
	seen atomic.Pointer[string] // see Saw

	changed atomic.Pointer[change] // see Changed
}

// Event publishes an event of the attempt. It sends nothing once the lease is lost.
func (j *Job) Event(ctx context.Context, p messages.Payload) error {
	if !j.d.Alive() {
		return queue.ErrLeaseLost
	}
	return j.q.c.Publish(ctx, j.Envelope.Traceparent, p)
}

// Log sends a piece of progress; build and attempt are filled in. It waits no longer than
// a moment, and sends nothing once the lease is lost.
func (j *Job) Log(l messages.BuildLog) {
	if !j.d.Alive() {
		return
	}
	l.BuildRef, l.Attempt = j.Request.BuildRef(), j.Attempt
	if err := j.q.Log(&l); err != nil {
		j.q.c.Logger().Debug().Err(err).Msg("log message dropped")
	}
}

// Age is how long ago the request was stored, by the server's clock.
func (j *Job) Age(ctx context.Context) (time.Duration, error) {
	now, err := store.NewClock(j.q.c).Now(ctx)
	return now.Sub(j.d.Time), err
}

// worker is a running Consume.
type worker struct {
	Work
	q       *Queue
	mu      sync.Mutex
	running map[string]runningBuild // by build ID
	unable  string                  // why no build can be done, as told last; or ""
	told    time.Time               // when that was
}

// Consume takes build requests and does them until ctx ends; then it takes no more,
// gives those that run Grace, hands back what is left, and returns ctx's cause. Every request
// ends in one outcome, announced once, however many workers try it.
func (q *Queue) Consume(ctx context.Context, work Work) error {
	if err := work.check(); err != nil {
		return err
	}
	work.Slots = cmp.Or(work.Slots, 1)
	work.AckWait = cmp.Or(work.AckWait, DefaultAckWait)
	work.RetryDelay = cmp.Or(work.RetryDelay, DefaultRetryDelay)
	w := &worker{Work: work, q: q, running: map[string]runningBuild{}}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		w.watch(watching)
	}()
	err := w.consume(ctx)
	stop()
	<-watched
	return err
}

// The pauses between the looks whether a worker that could do no build can do one now, and how
// long each may take.
const (
	readyFirst = 250 * time.Millisecond
	readyMost  = 5 * time.Second
)

// await waits until a build can be done here, and says why it can't.
func (w *worker) await(ctx context.Context) error {
	for wait := readyFirst; ; wait = min(2*wait, readyMost) {
		began := time.Now()
		err := w.able(ctx)
		if ctx.Err() == nil {
			w.tell(began, err)
		}
		if err == nil {
			return nil
		}
		if !queue.Pause(ctx, wait) {
			return context.Cause(ctx)
		}
	}
}

// tell logs why no build can be done here, or that one can again, as a look that began then has
// found. All slots see the same, and it is said once.
func (w *worker) tell(began time.Time, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case why == w.unable || began.Before(w.told):
		return
	case err == nil:
		w.Logger.Info().Msg("builds are taken again")
	default:
		w.Logger.Warn().Err(err).Msg("no build is taken until this is mended, trying again all the time")
	}
	w.unable, w.told = why, time.Now()
}

// able tells why no build can be done here now.
func (w *worker) able(ctx context.Context) error {
	if w.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyMost)
	defer cancel()
	return w.Ready(ctx)
}

// consume takes requests of every version that is known, and leaves newer ones to newer workers.
// Each slot takes one request at a time, of whichever version.
func (w *worker) consume(ctx context.Context) error {
	var slots errgroup.Group
	for range w.Slots {
		s := queue.NewSlot(w.await, w.able)
		for _, v := range messages.TypeBuildRequested.Versions() {
			slots.Go(func() error {
				return w.q.c.Consume(ctx, requests(w.q.c, v, w.AckWait), s, func(d *queue.Delivery) { w.handle(ctx, d) })
			})
		}
	}
	return slots.Wait()
}

// requests are the build requests of a version, which all builders share.
func requests(c *queue.Client, version messages.Type, ackWait time.Duration) queue.Shared {
	return queue.Shared{Stream: c.Space().RequestsStream(), Name: store.Builders, Type: version, AckWait: ackWait}
}
