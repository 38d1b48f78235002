package queue

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// denials brings the server's "permissions violation", which comes asynchronously, to the
// operation that it refuses, which would otherwise only time out.
type denials struct {
	mu      sync.Mutex
	next    uint64
	waiting map[string]map[uint64]context.CancelCauseFunc // by subject
}

// guard returns a context that ends with ErrForbidden when the server refuses a publish to
// subject, or to any that begins with it where it ends in a star. Done releases it.
func (d *denials) guard(ctx context.Context, subject string) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		d.waiting = map[string]map[uint64]context.CancelCauseFunc{}
	}
	d.next++
	id := d.next
	if d.waiting[subject] == nil {
		d.waiting[subject] = map[uint64]context.CancelCauseFunc{}
	}
	d.waiting[subject][id] = cancel
	return ctx, func() {
		d.mu.Lock()
		delete(d.waiting[subject], id)
		if len(d.waiting[subject]) == 0 {
			delete(d.waiting, subject)
		}
		d.mu.Unlock()
		cancel(nil)
	}
}

// refusedPublish finds the subject in the server's text: Permissions Violation for Publish
// to "SUBJECT".
var refusedPublish = regexp.MustCompile(`(?i)permissions violation for publish to "([^"]+)"`)

// report ends the operations that err is about, and tells whether there were any.
func (d *denials) report(err error) (heard bool) {
	m := refusedPublish.FindStringSubmatch(err.Error())
	if m == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for subject, waiting := range d.waiting {
		begin, star := strings.CutSuffix(subject, "*")
		if subject != m[1] && !(star && strings.HasPrefix(m[1], begin)) {
			continue
		}
		for _, cancel := range waiting {
			heard = true
			cancel(fmt.Errorf("%w: publish to %s", ErrForbidden, m[1]))
		}
	}
	return heard
}
