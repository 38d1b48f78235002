package queue

import (
	"context"
	"time"
)

// place is where a reader of a stream is that follows it through interruptions.
type place struct {
	c    *Client
	s    *session
	made time.Time // when the stream was made that it was in last; zero before the first look
	last time.Time // when the last message was stored that it was given
	skip time.Time // what was stored until then it has been given
}

// find sets where the next session begins: behind what was given. A stream that was made anew is read from its
// beginning, and so is one that ends below the place, as after a restore or the crash of a server, but for what
// is no newer than what was given: else the server would wait until it has come that far again.
func (p *place) find(ctx context.Context) error {
	info, err := p.c.Info(ctx, p.s.stream)
	if err != nil {
		return err
	}
	anew := !p.made.IsZero() && !info.Made.Equal(p.made)
	p.made = info.Made
	switch {
	case p.s.newOnly: // and an interruption before the first message loses none
		p.s.from, p.s.newOnly = info.Last+1, false
	case anew:
		p.s.from, p.skip = 1, time.Time{}
	case p.s.from > info.Last+1:
		p.s.from, p.skip = 1, p.last
	}
	return nil
}

// take notes that a message came, and tells whether it is to be given.
func (p *place) take(m Stored) bool {
	p.s.from, p.s.newOnly = m.Sequence+1, false
	if !m.Time.After(p.skip) {
		return false
	}
	p.last = m.Time
	return true
}
