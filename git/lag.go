package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// How long a host may show a branch as it was before, counted from when the later commit was told of.
const (
	// LagBehind is for a host that shows what the later commit was made on: a mirror that is behind, or one of several behind
	// one address; else the branch was set back to it.
	LagBehind = 2 * time.Minute
	// LagWithout is for a host that doesn't have the later commit at all: a mirror that is further behind, or else a host
	// that has forgotten what was pushed away.
	LagWithout = time.Hour
)

// lagDepth is how many commits before the later one are looked through.
const lagDepth = 200

// Lag tells for how long a host may be behind that shows a branch at a commit where a later one, told, is said to be its head:
// 0 where the host has that one and shows something else that it wasn't made on, so that the branch went on, or elsewhere. What
// can't be found out counts as LagBehind.
func Lag(ctx context.Context, r Remote, told, shown string) time.Duration {
	if messages.CheckRepository(r.URL) != nil || messages.CheckCommit(told) != nil {
		return 0
	}
	before, err := r.before(ctx, told)
	switch {
	case errors.Is(err, ErrNoCommit) && !strings.Contains(err.Error(), unadvertised):
		return LagWithout
	case err != nil || strings.Contains(before, shown):
		return LagBehind
	}
	return 0
}

// before lists a commit and those that it was made on, one a line. Neither files nor folders are fetched.
func (r Remote) before(ctx context.Context, commit string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	in, done, err := r.fetched(ctx, maxFetchBlocks, []string{fmt.Sprintf("--depth=%d", lagDepth), "--filter=tree:0"}, commit)
	if err != nil {
		return "", err
	}
	defer done()
	return in("rev-list", commit, "--")
}
