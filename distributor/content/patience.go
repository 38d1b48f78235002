package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// errSlow ends a request that took too long.
var errSlow = errors.New("too slow")

// patience bounds the time that is waited for a place, not that for whoever reads what it gives. A limit of 0 is
// none.
type patience struct {
	limit, left time.Duration
	got         int64
	cancel      context.CancelCauseFunc
}

func newPatience(limit time.Duration, cancel context.CancelCauseFunc) *patience {
	return &patience{limit: limit, left: limit, cancel: cancel}
}

// begin starts to wait. What it returns ends that.
func (p *patience) begin() (done func()) {
	if p.limit == 0 {
		return func() {}
	}
	start := time.Now()
	timer := time.AfterFunc(p.left, func() { p.cancel(errSlow) })
	return func() {
		timer.Stop()
		p.left = max(p.left-time.Since(start), 0)
	}
}

// came renews the patience with each further messages.MirrorLeast bytes.
func (p *patience) came(n int) {
	if p.got += int64(n); p.got >= messages.MirrorLeast {
		p.got, p.left = 0, p.limit
	}
}

// patientBody is an answer's bytes.
type patientBody struct {
	io.ReadCloser
	wait *patience
	ctx  context.Context //nolint:containedctx // the request's, which says why it ended
}

// Read reads as long as the answer comes fast enough.
func (b *patientBody) Read(p []byte) (int, error) {
	done := b.wait.begin()
	n, err := b.ReadCloser.Read(p)
	done()
	b.wait.came(n)
	if err != nil && errors.Is(context.Cause(b.ctx), errSlow) {
		err = fmt.Errorf("it gave less than %d kB within %s", messages.MirrorLeast/1000, b.wait.limit)
	}
	return n, err
}

// Close ends the answer.
func (b *patientBody) Close() error {
	defer b.wait.cancel(nil)
	return b.ReadCloser.Close()
}
