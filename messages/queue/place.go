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
	last time.Time // when the last message was stored that it was given, or was not to be
	skip time.Time // what was stored until then it has been given
}

// find sets where the next session begins: behind what was given. A stream that was made anew is read from its
// beginning, and so is one that ends below the place, as after a restore or the crash of a server: else the server
// would wait until it has come that far again. What is no newer than what was given is left out: a cluster says of
// a stream that is restored that it was made then.
func (p *place) find(ctx context.Context) error {
	info, err := p.c.Info(ctx, p.s.stream)
	if err == nil {
		p.goOn(info)
	}
	return err
}

// goOn is find by what the server says of the stream.
func (p *place) goOn(info StreamInfo) {
	was := p.made
	p.made = info.Made
	if p.s.newOnly { // and an interruption before the first message loses none
		p.s.from, p.s.newOnly = info.Last+1, false
	}
	switch {
	case was.IsZero() && p.s.from == info.Last+1:
		p.last = info.Now // what is there by now is not to be given, as if it had been
	case !was.IsZero() && !info.Made.Equal(was):
		p.s.from, p.skip = 1, p.last
		if info.Made.After(was) && info.Made.Before(p.last) {
			p.skip = info.Made // clocks differ: no message of a stream that is new is older than that
		}
	case p.s.from > info.Last+1:
		p.s.from, p.skip = 1, p.last
	}
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
