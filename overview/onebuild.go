package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// FindBuild finds a build, queued or claimed. Where there is none of that name it returns nil, and the names that there are of
// the newest.
func FindBuild(ctx context.Context, q *queue.Client, build string) (found *Build, known []string, err error) {
	e, err := store.Builds(q).Current(ctx, build) // who looks has heard of a change, which another replica may not have yet
	if err == nil && !e.Value.Queued() {
		one := []Build{BuildOf(&e.Value)}
		return &one[0], nil, Hear(ctx, q, one)
	}
	if err != nil && !errors.Is(err, queue.ErrNotFound) && !errors.Is(err, messages.ErrMalformed) {
		return nil, nil, fmt.Errorf("reading the record of build %s: %w", build, err)
	}
	all, err := RecentBuilds(ctx, q, BuildsShown, "")
	if err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(all, func(b Build) bool { return b.Build == build }); i >= 0 {
		return &all[i], nil, nil
	}
	for i := range all {
		known = append(known, all[i].Build)
	}
	return nil, known, nil
}

// Fact is something that is known of a build.
type Fact struct {
	Name string
	Text string
	At   time.Time // in place of a text
}

// Facts are all that is known of a build but for its failure, in the order in which people are told it.
func (b *Build) Facts() []Fact {
	reason, took := "", ""
	if b.Reason != nil {
		reason = b.Reason.String()
	}
	if b.Took > 0 {
		took = Took(b.Took.Std())
	}
	all := []Fact{
		{"build", b.Build, time.Time{}}, {"pipeline", b.Pipeline, time.Time{}}, {"order", number(b.Order), time.Time{}}, {"state", b.Shown(), time.Time{}},
		{"reason", reason, time.Time{}}, {"requested by", b.By, time.Time{}}, {"ref", b.Ref, time.Time{}}, {"commit", b.Commit, time.Time{}}, {"matched", b.Matched, time.Time{}},
		{"place in the queue", number(uint64(b.Place)), time.Time{}}, {"received", "", b.Received}, {"started", "", b.Started}, {"updated", "", b.Updated}, {b.expects(), "", b.Expected},
		{"took", took, time.Time{}}, {"attempt", number(uint64(b.Attempt)), time.Time{}}, {"worker", b.Worker, time.Time{}},
		{"image", string(b.Image), time.Time{}}, {"cancelled by", b.Cancelled, time.Time{}}, {"superseded by", b.Head, time.Time{}}, {"which is build", b.FollowedBy, time.Time{}}, {"last error", b.LastError, time.Time{}},
		{"unreadable", b.Broken, time.Time{}}, {"silent", b.Silence, time.Time{}}, {"needs a builder for", string(b.Newer), time.Time{}}, {"trace", b.Trace, time.Time{}},
	}
	return slices.DeleteFunc(all, func(f Fact) bool { return f.Text == "" && f.At.IsZero() })
}

func number(n uint64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// expects is what Expected says of a build.
func (b *Build) expects() string {
	if b.State == StateQueued {
		return "likely to begin"
	}
	return "likely to end"
}

// Took is how long something took, for people.
func Took(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return d.Round(time.Second).String()
	}
}

// commitPaths is how forges show a commit, below the address of its repository.
var commitPaths = map[string]string{
	"github": "/commit/", "gitlab": "/-/commit/", "gitea": "/commit/", "forgejo": "/commit/", "bitbucket": "/commits/",
	"github.com": "/commit/", "gitlab.com": "/-/commit/", "codeberg.org": "/commit/", "bitbucket.org": "/commits/",
}

// CommitLink is where the forge shows the commit of a request, or "" where that is not known: the forge is one that told of the
// push, or is known by its host.
func CommitLink(r *messages.BuildRequested) string {
	u, err := url.Parse(r.Pipeline.Repository)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || messages.CheckCommit(r.Commit) != nil {
		return ""
	}
	forge := ""
	if why := r.Why(); why.Kind == messages.ReasonPush || why.Kind == messages.ReasonTag {
		forge = commitPaths[why.Detail]
	}
	path := cmp.Or(forge, commitPaths[strings.ToLower(u.Hostname())])
	if path == "" {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), ".git") + path + r.Commit}
	return shown.String()
}
