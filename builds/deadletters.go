package builds

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// ErrRequeued tells that the message of a dead letter was sent again, though something that follows from it failed.
var ErrRequeued = errors.New("its message was sent again")

// LetterName names a dead letter: its stream and its sequence there, STREAM-SEQ.
func LetterName(l messages.DeadLetter) string {
	return l.Stream + "-" + strconv.FormatUint(l.Sequence, 10)
}

// letterSubject is the filter for the letter of a name, whichever version kept it.
func (q *Queue) letterSubject(name string) (string, error) {
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return "", fmt.Errorf("dead letter %q: a name is STREAM-SEQUENCE, as the list shows it", name)
	}
	sequence, err := strconv.ParseUint(name[i+1:], 10, 64)
	if err != nil || messages.CheckID("stream", name[:i]) != nil {
		return "", fmt.Errorf("dead letter %q: a name is STREAM-SEQUENCE, as the list shows it", name)
	}
	return q.c.Space().AnyVersion(messages.TypeDeadLetter, name[:i], strconv.FormatUint(sequence, 10)), nil
}

// lettersStream is the stream that keeps dead letters: that of events, where no controller has parted them yet.
func (q *Queue) lettersStream(ctx context.Context) (string, error) {
	stream := q.c.Space().LettersStream()
	missing, err := q.c.Missing(ctx, stream)
	if missing {
		stream = q.c.Space().EventsStream()
	}
	return stream, err
}

// DeadLetters lists the messages that nobody could handle, oldest first.
func (q *Queue) DeadLetters(ctx context.Context) ([]messages.DeadLetter, error) {
	var out []messages.DeadLetter
	err := q.EachDeadLetter(ctx, func(l *messages.DeadLetter) error {
		out = append(out, *l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// EachDeadLetter shows the messages that nobody could handle one by one, oldest first: together they may be as large as their stream.
func (q *Queue) EachDeadLetter(ctx context.Context, see func(*messages.DeadLetter) error) error {
	o := queue.ReadOptions{Filters: []string{q.c.Space().AnyVersion(messages.TypeDeadLetter)}}
	stream, err := q.lettersStream(ctx)
	if err == nil {
		err = q.c.Read(ctx, stream, o, func(r queue.Received) error {
			if l, ok := r.Payload.(*messages.DeadLetter); ok {
				return see(l)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("listing dead letters: %w", err)
	}
	return nil
}

// DeadLettersFrom lists at most so many of them, from a sequence of the stream that keeps them, oldest first. Next is where
// those after them begin, or 0.
func (q *Queue) DeadLettersFrom(ctx context.Context, from uint64, most int) (page []messages.DeadLetter, next uint64, err error) {
	stream, err := q.lettersStream(ctx)
	if err == nil {
		o := queue.ReadOptions{Filters: []string{q.c.Space().AnyVersion(messages.TypeDeadLetter)}, FromSequence: from}
		err = q.c.Read(ctx, stream, o, func(r queue.Received) error {
			l, ok := r.Payload.(*messages.DeadLetter)
			switch {
			case !ok:
			case len(page) == most:
				next = r.Sequence
				return errEnough
			default:
				page = append(page, *l)
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, errEnough) {
		return nil, 0, fmt.Errorf("listing dead letters: %w", err)
	}
	return page, next, nil
}

// errEnough ends a read that has what it wants.
var errEnough = errors.New("enough was read")

// DeadLetter is the dead letter of a name. queue.ErrNotFound where there is none.
func (q *Queue) DeadLetter(ctx context.Context, name string) (*messages.DeadLetter, error) {
	l, err := q.letter(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading dead letter %s: %w", name, err)
	}
	return l, nil
}

func (q *Queue) letter(ctx context.Context, name string) (*messages.DeadLetter, error) {
	subject, err := q.letterSubject(name)
	if err != nil {
		return nil, err
	}
	stream, err := q.lettersStream(ctx)
	if err != nil {
		return nil, err
	}
	s, err := q.c.Last(ctx, stream, subject)
	if err != nil {
		return nil, err
	}
	r, err := q.c.Decode(s) // which holds it to its subject: that says who may have kept it
	if err != nil {
		return nil, err
	}
	l, ok := r.Payload.(*messages.DeadLetter)
	if !ok {
		return nil, fmt.Errorf("%w: it is no dead letter", messages.ErrMalformed)
	}
	return l, nil
}

// LettersFull tells that one more dead letter may not fit: what nobody can handle then comes again until it does, and a
// build that is given up ends without one.
func (q *Queue) LettersFull(ctx context.Context) (bool, error) {
	stream, err := q.lettersStream(ctx)
	if err != nil || stream != q.c.Space().LettersStream() {
		return false, err // the oldest events make way
	}
	info, err := q.c.Info(ctx, stream)
	return info.MaxBytes > 0 && int64(info.Bytes)+q.c.MaxPayload() > info.MaxBytes, err
}

// RequeueDeadLetter sends a dead letter's message again and drops the letter. A build request
// is retried under a new ID, as its build has ended; an event takes the place of the one it
// repeats where a build has only one of its kind. By says who asked. It returns the build that was asked for, or "".
func (q *Queue) RequeueDeadLetter(ctx context.Context, name, by string) (build string, err error) {
	l, err := q.letter(ctx, name)
	if err == nil {
		build, err = q.sendAgain(ctx, l, by)
	}
	if err != nil {
		return "", fmt.Errorf("requeueing dead letter %s: %w", name, err)
	}
	if err := q.DropDeadLetter(ctx, name); err != nil {
		return build, fmt.Errorf("%w, but the letter could not be removed: %w", ErrRequeued, err)
	}
	return build, nil
}

func (q *Queue) sendAgain(ctx context.Context, l *messages.DeadLetter, by string) (build string, err error) {
	if err := l.Whole(); err != nil {
		return "", err
	}
	m := queue.AsSent(messages.Message{Headers: l.Headers, Body: l.Body})
	_, p, _ := messages.Decode(m) // nil for what was buried because it can't be read
	if u, ok := p.(*messages.EventUndelivered); l.Stream == q.c.Space().SinksStream() && (!ok || l.Subject != q.c.Space().Subject(u)) {
		return "", errors.New("it is no event for a sink, and who keeps such letters may keep no other: drop the letter")
	}
	_, request := p.(*messages.BuildRequested)
	_, newer := messages.NewerRequest(m)
	if request || newer {
		a, err := q.retryRequest(ctx, m, l.Sequence, by)
		return a.Build, err
	}
	switch p.(type) {
	case *messages.ImageReady, *messages.BuildFailed, *messages.BuildSuperseded, *messages.BuildCancelled:
		return "", q.replace(ctx, queue.Stored{Subject: l.Subject, Message: m})
	}
	_, err = q.c.Store(ctx, l.Subject, m)
	return "", err
}

// replace has an event take the place of the one it repeats. It may be repeated after a crash
// in between, as the letter is still there. If the event's own publisher comes in between, what
// is stored is the same.
func (q *Queue) replace(ctx context.Context, m queue.Stored) error {
	if _, err := q.c.Decode(m); err != nil {
		return fmt.Errorf("%w: drop the letter", err)
	}
	if _, err := q.c.Purge(ctx, q.c.Space().EventsStream(), m.Subject, 0); err != nil {
		return err
	}
	_, err := q.c.PublishOnce(ctx, m.Subject, m.Message)
	return err
}

// DropDeadLetter removes a dead letter for good. queue.ErrNotFound where there is none of that name.
func (q *Queue) DropDeadLetter(ctx context.Context, name string) error {
	subject, err := q.letterSubject(name)
	if err != nil {
		return err
	}
	stream, err := q.lettersStream(ctx)
	var purged uint64
	if err == nil {
		purged, err = q.c.Purge(ctx, stream, subject, 0)
	}
	if err == nil && purged == 0 {
		err = queue.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("dropping dead letter %s: %w", name, err)
	}
	return nil
}

// DropLetterOf removes the dead letter of a build's request, if there is one, as the same is asked for again.
func (q *Queue) DropLetterOf(ctx context.Context, build string) error {
	e, err := q.records.Current(ctx, build)
	if err == nil {
		err = q.dropLetterAt(ctx, e.Value.Request)
	}
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	return err
}

func (q *Queue) dropLetterAt(ctx context.Context, request uint64) error {
	return q.DropDeadLetter(ctx, LetterName(messages.DeadLetter{Stream: q.c.Space().RequestsStream(), Sequence: request}))
}

// builtAgain drops the letter of a build whose push is asked for again. That it can't is no reason not to build.
func (q *Queue) builtAgain(ctx context.Context, build string) {
	if err := q.DropLetterOf(ctx, build); err != nil {
		q.c.Logger().Warn().Err(err).Str("build", build).Msg("its dead letter stays, though it is built again")
	}
}
