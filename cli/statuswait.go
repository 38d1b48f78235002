package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
)

// milestone is how far a build has to come.
type milestone string

const (
	untilApproval milestone = "approval"
	untilFlipped  milestone = "flipped"
	untilDone     milestone = "done"
)

// String is the flag's value.
func (m *milestone) String() string { return string(*m) }

// Set takes the flag's value.
func (m *milestone) Set(s string) error {
	switch milestone(s) {
	case untilApproval, untilFlipped, untilDone:
		*m = milestone(s)
		return nil
	}
	return fmt.Errorf("%q is none of done, flipped and approval", s)
}

// Type names the flag's value in help.
func (m *milestone) Type() string { return "done|flipped|approval" }

// statusWait says what `status` waits for.
type statusWait struct {
	until                          milestone // "" to not wait
	build, commit, pipeline, fleet string
	timeout                        time.Duration
}

func (w *statusWait) flags(fs *pflag.FlagSet) {
	fs.Var(&w.until, "wait-for", "wait until a build has come so far in the fleets that it feeds")
	fs.StringVar(&w.build, "build", "", "the build that --wait-for waits for; the newest where neither it nor --commit is given")
	settings.CommitVar(fs, &w.commit, "commit", "or the newest build of this full commit, which may be asked for later")
	fs.StringVar(&w.pipeline, "pipeline", "", "the pipeline whose newest build, or build of the commit, is waited for")
	fs.StringVar(&w.fleet, "fleet", "", "the one fleet that counts; all that the build feeds where none is given")
	settings.SpanVar(fs, &w.timeout, "timeout", time.Hour, "how long --wait-for waits; 0s for as long as it takes")
}

func (w *statusWait) check(fs *pflag.FlagSet) error {
	for _, name := range []string{"build", "commit", "pipeline", "fleet", "timeout"} {
		if w.until == "" && fs.Changed(name) {
			return settings.Usagef("--%s is about what --wait-for waits for: give both, or neither", name)
		}
	}
	if w.build != "" && (w.commit != "" || w.pipeline != "") {
		return settings.Usagef("--build names one build: leave out --commit and --pipeline")
	}
	for what, id := range map[string]string{"build": w.build, "pipeline": w.pipeline, "fleet": w.fleet} {
		if id == "" && fs.Changed(what) {
			return settings.Usagef("--%s is empty: name one, or leave it out", what)
		}
	}
	return nil
}

// waited is how far a build has come, as `status --wait-for` prints it at its end.
type waited struct {
	Build      string          `json:"build"`
	Pipeline   string          `json:"pipeline"`
	Commit     string          `json:"commit,omitempty"`
	State      string          `json:"state"`
	Image      messages.Image  `json:"image,omitempty"`
	FollowedBy string          `json:"followed_by,omitempty"`
	WaitedFor  milestone       `json:"waited_for"`
	Reached    bool            `json:"reached"`
	Fleets     []waitedRollout `json:"fleets"`
}

// waitedRollout is a rollout of the build that is waited for.
type waitedRollout struct {
	Fleet   string                `json:"fleet"`
	Rollout string                `json:"rollout"`
	State   messages.RolloutState `json:"state,omitempty"` // none before a controller opened it
	Why     string                `json:"why,omitempty"`
	Flipped bool                  `json:"flipped"` // the fence config holds the image

	was  string // what was said of it last
	said time.Time
}

// awaitStatus waits until a build has come so far, and prints how far it came.
func (s *session) awaitStatus(ctx context.Context, w *statusWait) error {
	s.patience = awayAlways
	if w.timeout > 0 {
		bounded, cancel := context.WithTimeoutCause(ctx, w.timeout, fmt.Errorf("%w to that within %s", errNotThere, w.timeout))
		defer cancel()
		ctx = bounded
	}
	out := &waited{Build: w.build, Commit: w.commit, Pipeline: w.pipeline, WaitedFor: w.until, Fleets: []waitedRollout{}}
	err := s.attended(ctx, func(ctx context.Context) error { return s.comeSoFar(ctx, w, out) })
	if late := context.Cause(ctx); errors.Is(late, errNotThere) && !out.Reached {
		err = &exitError{ExitLate, fmt.Errorf("%s: %w, it is %s", out.name(), late, out.state())}
	}
	if own := (*exitError)(nil); err != nil && !errors.As(err, &own) {
		return err
	}
	return errors.Join(s.print(out, out.write), err)
}

// errNotThere tells that a build has not come as far as it was waited for.
var errNotThere = errors.New("it has not come")

func (o *waited) name() string {
	switch {
	case o.Build != "":
		return "build " + o.Build
	case o.Commit != "":
		return "commit " + o.Commit
	}
	return "the newest build"
}

// state says in a line how far it is.
func (o *waited) state() string {
	if len(o.Fleets) == 0 && o.State == "" {
		return "not asked for"
	}
	if len(o.Fleets) == 0 {
		return o.State
	}
	var all []string
	for i := range o.Fleets {
		all = append(all, o.Fleets[i].text())
	}
	return strings.Join(all, "; ")
}

func (o *waited) write(p *terminal.Page) {
	p.Line("%s: %s", o.Build, o.State)
	for i := range o.Fleets {
		p.Line("  %s", o.Fleets[i].text())
	}
}

func (r *waitedRollout) text() string {
	if r.State == "" {
		return r.Fleet + ": waits for a controller to open rollout " + r.Rollout
	}
	return overview.WithReason(r.Fleet+": "+string(r.State), r.Why)
}

// comeSoFar follows the build, then its rollouts.
func (s *session) comeSoFar(ctx context.Context, w *statusWait, out *waited) error {
	b, err := s.waitedBuild(ctx, w)
	if err != nil {
		return err
	}
	out.Build, out.Pipeline, out.Commit, out.State = b.Build, b.Pipeline, b.Commit, b.State
	s.note("waits for build %s of pipeline %s to be %s: it is %s", b.Build, b.Pipeline, w.until, b.Shown())
	if err := s.awaitImage(ctx, out); err != nil {
		return err
	}
	fleets, err := s.fedFleets(ctx, out, w.fleet)
	if err != nil {
		return err
	}
	for _, f := range fleets {
		out.Fleets = append(out.Fleets, waitedRollout{Fleet: f, Rollout: messages.RolloutID(f, out.Build)})
	}
	return s.awaitRollouts(ctx, out)
}

// waitedBuild is the build that is waited for; one of a commit may be asked for later.
func (s *session) waitedBuild(ctx context.Context, w *statusWait) (b *overview.Build, err error) {
	if w.build != "" {
		if err := messages.CheckID("build", w.build); err != nil {
			return nil, settings.Usage(err)
		}
		return b, s.answered(ctx, func() error { b, err = s.findBuild(ctx, w.build); return err })
	}
	if w.commit == "" {
		return b, s.answered(ctx, func() error { b, err = s.newestBuild(ctx, w, true); return err })
	}
	return s.buildOfCommit(ctx, w)
}

// buildOfCommit is the newest build of a commit, or the first that is asked for from now on.
func (s *session) buildOfCommit(ctx context.Context, w *statusWait) (*overview.Build, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	found := make(chan *overview.Build, 2)
	look := func() {
		var b *overview.Build
		err := s.answered(ctx, func() (err error) { b, err = s.newestBuild(ctx, w, false); return err })
		switch {
		case err != nil:
			stop(err)
		case b != nil:
			found <- b
			stop(nil)
		default:
			s.note("waits for a build of commit %s to be asked for", w.commit)
		}
	}
	var looking sync.WaitGroup
	o := queue.ReadOptions{New: true, Follow: true, CaughtUp: func() { // what is asked for from now on is read
		looking.Go(look)
	}}
	err := s.queue.Read(ctx, s.queue.Space().RequestsStream(), o, func(m queue.Received) error {
		if r, ok := m.Payload.(*messages.BuildRequested); ok && r.Commit == w.commit && (w.pipeline == "" || r.Pipeline.Name == w.pipeline) {
			found <- &overview.Build{Build: r.Build, Pipeline: r.Pipeline.Name, Commit: r.Commit, State: overview.StateQueued}
			return errEnough
		}
		return nil
	})
	cause := context.Cause(ctx)
	stop(nil)
	looking.Wait()
	select {
	case b := <-found:
		return b, nil
	default:
	}
	if cause != nil {
		err = cause
	}
	return nil, err
}

// errEnough ends a reading that has found what it looked for.
var errEnough = errors.New("found")

// newestBuild is the newest build of the pipeline and commit, as far as they are given; nil where there is none and
// none must be.
func (s *session) newestBuild(ctx context.Context, w *statusWait, must bool) (*overview.Build, error) {
	all, err := overview.RecentBuilds(ctx, s.queue, waitedBuilds, w.pipeline)
	if err != nil {
		return nil, err
	}
	if w.commit != "" {
		all = slices.DeleteFunc(all, func(b overview.Build) bool { return b.Commit != w.commit })
	}
	switch {
	case len(all) == 0 && !must:
		return nil, nil
	case len(all) == 0 && w.pipeline != "":
		return nil, s.noBuildOf(ctx, w.pipeline)
	case len(all) == 0:
		return nil, errors.New("there is no build yet: push, or 'fenceline submit PIPELINE'")
	}
	unchanged := func(b overview.Build) bool { return b.State == string(messages.BuildStateUnchanged) }
	if made := slices.DeleteFunc(slices.Clone(all), unchanged); len(made) > 0 {
		all = made // what a schedule asked for and nobody had to build takes no build's place
	}
	if other := slices.IndexFunc(all, func(b overview.Build) bool { return b.Pipeline != all[0].Pipeline }); other >= 0 {
		return nil, settings.Usagef("--wait-for waits for one build, and there are some of pipelines %s and %s: name one with --pipeline or --build", all[0].Pipeline, all[other].Pipeline)
	}
	return &all[0], nil
}

// waitedBuilds is how many builds of before a commit is looked for in.
const waitedBuilds = 1000

// awaitImage waits until the build has an image.
func (s *session) awaitImage(ctx context.Context, out *waited) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var end *messages.BuildRecord
	said := out.State
	err := store.Build(s.queue, out.Build).Watch(ctx, func(e queue.Entry[messages.BuildRecord]) {
		r := e.Value
		if end != nil || e.Deleted {
			return
		}
		row := overview.BuildOf(&r)
		out.State, out.Image, out.FollowedBy = row.State, r.Image, r.FollowedBy
		if now := overview.WithReason(row.Shown(), row.Why()); now != said && !r.Ended() {
			said = now
			s.note("build %s: %s", out.Build, now)
		}
		if r.Ended() && r.Announced {
			end = &r
			cancel()
		}
	}, nil)
	if end == nil {
		return err
	}
	row := overview.BuildOf(end)
	why := fmt.Errorf("build %s: %s", out.Build, overview.WithReason(row.State, row.Why()))
	switch end.State {
	case messages.BuildStateSucceeded:
		return nil
	case messages.BuildStateSuperseded, messages.BuildStateCancelled, messages.BuildStateUnchanged:
		return &exitError{ExitReplaced, why}
	}
	return &exitError{ExitNoImage, fmt.Errorf("%w: 'fenceline logs %s' has what it printed", why, out.Build)}
}

// fedFleets are the fleets that the build's image goes to, or the one of them that counts.
func (s *session) fedFleets(ctx context.Context, out *waited, only string) (fleets []string, err error) {
	space := s.queue.Space()
	err = s.answered(ctx, func() error {
		fleets = nil
		m, err := s.queue.Last(ctx, space.EventsStream(), space.AnyVersion(messages.TypeImageReady, out.Pipeline, out.Build))
		if err == nil {
			_, ready, err := messages.DecodeAs[*messages.ImageReady](m.Message)
			if err == nil {
				for _, f := range ready.Fleets {
					fleets = append(fleets, f.Fleet)
				}
			}
			return err
		}
		if !errors.Is(err, queue.ErrNotFound) {
			return err
		}
		all, err := store.Rollouts(s.queue).List(ctx) // the event is kept for less long
		for _, r := range all {
			if r.Value.Ready.Build == out.Build {
				fleets = append(fleets, r.Value.Fleet)
			}
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case only != "" && !slices.Contains(fleets, only):
		return nil, settings.Usagef("--fleet: build %s doesn't go to %q: it goes to %s", out.Build, only, strings.Join(append(fleets, "no other"), ", "))
	case only != "":
		return []string{only}, nil
	}
	return fleets, nil
}

// awaitRollouts waits until all rollouts are as far as is waited for, or one will not be.
func (s *session) awaitRollouts(ctx context.Context, out *waited) error {
	if len(out.Fleets) == 0 {
		out.Reached = true
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var mu sync.Mutex
	looked := make([]bool, len(out.Fleets)) // for their rollouts: before, nothing is known of them
	change := func(fn func()) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if fn(); slices.Contains(looked, false) {
			return
		}
		s.sayRollouts(out)
		if err := out.settled(); out.Reached || err != nil {
			stop(&settledError{err})
		}
	}
	g, watching := errgroup.WithContext(ctx)
	rollouts := make([]messages.RolloutRecord, len(out.Fleets))
	records := make([]messages.FleetRecord, len(out.Fleets))
	for i := range out.Fleets {
		see := func() { out.Fleets[i].see(&rollouts[i], &records[i]) }
		g.Go(func() error {
			return store.Rollout(s.queue, out.Fleets[i].Rollout).Watch(watching, func(e queue.Entry[messages.RolloutRecord]) {
				change(func() { rollouts[i] = e.Value; see() })
			}, func() { change(func() { looked[i] = true }) })
		})
		g.Go(func() error {
			return store.Fleet(s.queue, out.Fleets[i].Fleet).Watch(watching, func(e queue.Entry[messages.FleetRecord]) {
				change(func() { records[i] = e.Value; see() })
			}, nil)
		})
	}
	err := g.Wait()
	if settled := (*settledError)(nil); errors.As(context.Cause(ctx), &settled) {
		return settled.end
	}
	return err
}

// settledError ends the watching of rollouts; end is nil where all is as was waited for.
type settledError struct{ end error }

func (*settledError) Error() string { return "settled" }

// see takes in the rollout's record and its fleet's.
func (r *waitedRollout) see(rollout *messages.RolloutRecord, fleet *messages.FleetRecord) {
	r.State, r.Why = rollout.State, rollout.Why
	followed := fleet.Current.Rollout == r.Rollout && fleet.Applied.Epoch >= fleet.Epoch && fleet.Applied.Error == ""
	switch r.State {
	case messages.RolloutFlipped:
		r.Flipped = followed
	case messages.RolloutSoaking, messages.RolloutDone:
		r.Flipped = true
	default:
		r.Flipped = false
	}
}

// settled notes whether all is as was waited for, and is an error where it won't be.
func (o *waited) settled() error {
	there := 0
	for i := range o.Fleets {
		r := &o.Fleets[i]
		why := fmt.Errorf("rollout %s: %s", r.Rollout, overview.WithReason(string(r.State), r.Why))
		switch r.State {
		case messages.RolloutFailed:
			return &exitError{ExitNoImage, why}
		case messages.RolloutRolledBack:
			return &exitError{ExitTurnedBack, why}
		case messages.RolloutAborted, messages.RolloutSuperseded:
			return &exitError{ExitReplaced, why}
		case messages.RolloutHeld:
			return &exitError{ExitHeld, why}
		case messages.RolloutApproval:
			o.Reached = o.Reached || o.WaitedFor == untilApproval
		}
		if r.State == messages.RolloutDone || r.Flipped && o.WaitedFor != untilDone {
			there++
		}
	}
	o.Reached = o.Reached || there == len(o.Fleets)
	return nil
}

// sayEvery is how long a rollout whose numbers alone have changed has no line.
const sayEvery = 30 * time.Second

// sayRollouts says beside the output what each rollout is and waits for, where that is news.
func (s *session) sayRollouts(out *waited) {
	for i := range out.Fleets {
		r := &out.Fleets[i]
		now := r.text()
		if now == r.was || withoutDigits(now) == withoutDigits(r.was) && time.Since(r.said) < sayEvery {
			continue
		}
		r.was, r.said = now, time.Now()
		s.note("%s", now)
	}
}

func withoutDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}
