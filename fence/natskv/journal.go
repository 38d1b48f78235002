package natskv

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// headerKind keeps where the setting of an entry lived.
const headerKind = "Fenceline-Kind"

// Journal remembers in the installation's bucket what the setting of one fleet was, under the key
// FLEET.journal, for a store that keeps no history. It is as long as the bucket's.
type Journal struct {
	values *queue.Records[string]
	fleet  string
	key    string
	kind   string
}

var _ fence.Journal = (*Journal)(nil)

// NewJournal returns the journal of a fleet, for a store of a kind.
func NewJournal(c *queue.Client, fleet, kind string) *Journal {
	key := fleet + ".journal"
	return &Journal{values: queue.NewTexts(c, c.Space().FenceBucket(), key), fleet: fleet, key: key, kind: kind}
}

// Last is the value that was noted last. One of another store is none.
func (j *Journal) Last(ctx context.Context) (value string, known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	e, err := j.values.Current(ctx, j.key)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return "", false, nil
	case err != nil:
		return "", false, j.failed("reading", err)
	}
	return e.Value, kindOf(e.Headers) == j.kind, nil
}

// Note adds a value and what it comes from.
func (j *Journal) Note(ctx context.Context, value string, cause fence.Cause) error {
	if err := messages.CheckName("fleet", j.fleet); err != nil {
		return j.failed("writing", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	headers := headersOf(cause)
	if headers == nil {
		headers = messages.Headers{}
	}
	headers[headerKind] = []string{j.kind}
	_, err := j.values.With(headers).Modify(ctx, j.key, func(v *string) error { *v = value; return nil })
	if err != nil {
		return j.failed("writing", err)
	}
	return nil
}

// History lists what the journal still has, oldest first.
func (j *Journal) History(ctx context.Context) ([]fence.Change, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	entries, err := j.values.History(ctx, j.key)
	if err != nil {
		return nil, j.failed("reading", err)
	}
	var out []fence.Change
	for _, e := range entries {
		out = append(out, fence.Change{Setting: setting(e.Value, e.Revision), At: e.Created, Cause: causeOf(e.Headers), Kind: kindOf(e.Headers)})
	}
	return out, nil
}

func kindOf(h messages.Headers) string {
	if v := h[headerKind]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (j *Journal) failed(doing string, err error) error {
	return fmt.Errorf("%s the journal of the fence config of fleet %s: %w", doing, j.fleet, err)
}
