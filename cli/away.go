package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/terminal"
)

// Commands that wait for something, while the server may go away.

const (
	// awayMost is how long a command that waits bears a server that is away.
	awayMost = 2 * time.Minute
	// awayAlways bears it for as long as the command waits.
	awayAlways time.Duration = 1<<63 - 1
	// awayLook is how often it looks whether the server is there.
	awayLook = 250 * time.Millisecond
)

// errAway tells that the server was away for longer than is waited for it.
var errAway = errors.New("the server is away")

// attended waits by wait, whose context ends when the server is away for too long: then it returns
// errAway, as it does where wait fails for want of the server. That the server went and came is said beside the output.
func (s *session) attended(ctx context.Context, wait func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.lookAfterServer(ctx); err != nil {
			cancel(err)
		}
	}()
	err := wait(ctx)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errAway):
		err = cause
	case errors.Is(err, queue.ErrUnavailable) && cause == nil && !s.queue.Connected(): // before it could wait
		err = fmt.Errorf("%w: %w", s.away(ctx), err)
	}
	cancel(nil)
	<-ended
	return err
}

// lookAfterServer returns errAway when the server is away for too long, nil when ctx ends.
func (s *session) lookAfterServer(ctx context.Context) error {
	most := s.patience
	if most == 0 {
		most = awayMost
	}
	look := time.NewTicker(min(awayLook, most))
	defer look.Stop()
	var since time.Time // zero while it is there
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		switch there := s.queue.Connected(); {
		case there && !since.IsZero():
			since = time.Time{}
			s.note("the server is there again")
		case !there && since.IsZero():
			since = time.Now()
			bounded := fmt.Sprintf(", %s at most", most)
			if most == awayAlways {
				bounded = ""
			}
			s.note("%v: it is waited for%s", s.away(ctx), bounded)
		case !there && time.Since(since) >= most:
			return fmt.Errorf("%w for more than %s", s.away(ctx), most)
		}
	}
}

// away says that the server is away, and why.
func (s *session) away(ctx context.Context) error {
	if err := s.queue.Ready(ctx); err != nil {
		return fmt.Errorf("%w (%w)", errAway, err)
	}
	return errAway
}

// note says something beside the output.
func (s *session) note(format string, a ...any) {
	to := s.notes
	if to == nil {
		to = io.Discard
	}
	if d := s.drawing.Load(); d != nil {
		to = d
	}
	_ = terminal.Line(to, "fenceline: "+format, a...) // what is done matters more
}

// answered calls ask until the server has answered, or ctx ends.
func (s *session) answered(ctx context.Context, ask func() error) error {
	again := time.NewTicker(awayLook)
	defer again.Stop()
	for {
		err := ask()
		if !errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}
