package cli

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// statusReport is what `status` shows.
type statusReport struct {
	Fleets      []overview.Fleet  `json:"fleets"`
	Broken      map[string]string `json:"broken,omitempty"` // of Unreadable the rollouts, by ID, and why
	Builds      []overview.Build  `json:"builds"`           // queued and running, and the last of each pipeline
	Failed      []overview.Build  `json:"failed"`           // the last of each pipeline that has made no image since
	DeadLetters int               `json:"dead_letters"`     // without those of builds that failed
	LettersFull bool              `json:"dead_letters_full,omitempty"`
	Newer       []store.NewerWork `json:"newer,omitempty"` // what only a newer version of fenceline can read
	Disk        string            `json:"disk,omitempty"`  // what is not done for want of room on the disk of `up`, where that is this machine
	Unreadable  []unreadable      `json:"unreadable,omitempty"`
	Producers   []producerStatus  `json:"producers,omitempty"` // those that are known here and tell of their pipeline file

	PollProblems  []pollProblem           `json:"poll_problems,omitempty"`  // why pushes that nobody tells of are not found
	ForgeProblems []messages.ForgeProblem `json:"forge_problems,omitempty"` // why forges are not told of commits
	SinkProblems  []sinkProblem           `json:"sink_problems,omitempty"`  // why events don't reach sinks
	BaseProblems  []messages.BaseLook     `json:"base_problems,omitempty"`  // bases that their registries don't show

	unchanged map[string]string // why nothing was built of the builds that schedules led to, by build
}

// unreadable is a record or a message that can't be read, or a record whose name is not its key.
type unreadable struct {
	Bucket string `json:"bucket"` // of a message, its stream
	Key    string `json:"key"`    // of a message, its sequence
	Why    string `json:"why"`
	Fix    string `json:"fix,omitempty"` // what to do, unless it goes by itself

	told bool // elsewhere in the text
}

func newStatusCmd() *cobra.Command {
	var w statusWait
	cmd := &cobra.Command{
		Use: "status", Short: "Say what is happening, and why not, or wait until a build has come so far",
		Long: `Says what is current in each fleet, what moves and what it waits for, and what has failed.
With --wait-for it waits for a build and the fleets it feeds, says on stderr what for, and
ends with 0 when it has come so far, in all of them:

  approval  a rollout waits for a person's word, or none will: it was flipped to
  flipped   the fence config holds the image
  done      and the rollout is over, its soak and what nodes apply with it

else with 4 where the build or a rollout failed, 5 where a fleet went back from the image,
6 where a fleet is held, 7 where the build or a rollout was superseded, cancelled or
aborted, or nothing had changed to build, 8 after --timeout; 1 and 2 are as with every command. While NATS is away it goes on.`,
		Example: "  fenceline status\n  fenceline status -o json\n  fenceline status --wait-for flipped --commit \"$(git rev-parse HEAD)\" --timeout 30m",
		Args:    settings.Args(0, 0),
	}
	w.flags(cmd.Flags())
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		if err := w.check(cmd.Flags()); err != nil {
			return err
		}
		if w.until != "" {
			return s.awaitStatus(ctx, &w)
		}
		o, err := s.overview(ctx)
		if err != nil {
			return err
		}
		return s.print(o, o.write)
	})
}

func (s *session) overview(ctx context.Context) (*statusReport, error) {
	o := &statusReport{Fleets: []overview.Fleet{}, Builds: []overview.Build{}}
	if err := s.access.shortage(); err != nil {
		o.Disk = err.Error()
	}
	var err error
	if o.Producers, err = s.access.askProducers(ctx); err != nil {
		return nil, err
	}
	names, err := s.fleetNames(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		f, err := s.fleetStatus(ctx, name)
		if err != nil {
			return nil, err
		}
		o.Fleets = append(o.Fleets, *f)
		if f.Unread != nil {
			o.Unreadable = append(o.Unreadable, unreadable{s.queue.Space().FleetsBucket(), name, f.Unread.Error(), "fenceline fleets repair " + name, true})
		}
	}
	if len(names) == 0 { // nobody has listed the rollouts
		if _, err := s.rollouts(ctx, ""); err != nil {
			return nil, err
		}
	}
	o.Broken = s.broken
	builds, err := overview.RecentBuilds(ctx, s.queue, overview.BuildsShown, "")
	if err == nil {
		builds, err = overview.LastsOf(ctx, s.queue, builds)
	}
	if err != nil {
		return nil, err
	}
	o.Builds = append(o.Builds, lastAndActive(builds)...)
	if o.unchanged, err = s.unchanged(ctx, o.schedules()); err != nil {
		return nil, err
	}
	o.Failed = overview.FailedBuilds(builds)
	if o.DeadLetters, err = overview.AloneLetters(ctx, s.queue, builds, func(string) {}); err != nil {
		return nil, err
	}
	if o.LettersFull, err = s.builds().LettersFull(ctx); err != nil {
		return nil, err
	}
	o.addUnreadable(s.queue, builds)
	if o.BaseProblems, err = s.baseProblems(ctx); err != nil {
		return nil, err
	}
	if o.ForgeProblems, err = s.forgeProblems(ctx); err != nil {
		return nil, err
	}
	if o.SinkProblems, err = s.sinkProblems(ctx); err != nil {
		return nil, err
	}
	if o.PollProblems, err = s.pollProblems(ctx); err != nil {
		return nil, err
	}
	o.Newer, err = store.Newer(ctx, s.queue)
	return o, err
}

// addUnreadable lists what can't be read besides records of fleets.
func (o *statusReport) addUnreadable(q *queue.Client, builds []overview.Build) {
	space := q.Space()
	for _, id := range sorted(o.Broken) {
		o.Unreadable = append(o.Unreadable, unreadable{space.RolloutsBucket(), id, o.Broken[id], "build its image again", true})
	}
	for _, b := range builds {
		if b.Broken != "" && b.Build != "" {
			o.Unreadable = append(o.Unreadable, unreadable{space.BuildsBucket(), b.Build, b.Broken, "requeue its dead letter: fenceline dead-letters list", true})
		} else if b.Broken != "" {
			o.Unreadable = append(o.Unreadable, unreadable{space.RequestsStream(), strconv.FormatUint(b.Order, 10), b.Broken, "", true})
		}
	}
	for _, b := range q.PassedOver() {
		if b.Bucket != space.FleetsBucket() && b.Bucket != space.RolloutsBucket() && b.Bucket != space.BuildsBucket() {
			o.Unreadable = append(o.Unreadable, unreadable{Bucket: b.Bucket, Key: b.Key, Why: b.Err.Error()})
		}
	}
}

func (s *session) fleetStatus(ctx context.Context, name string) (*overview.Fleet, error) {
	f := &overview.Fleet{Fleet: name}
	record, err := store.Fleets(s.queue).Get(ctx, name)
	switch {
	case err == nil:
		f.Record = &record.Value
	case errors.Is(err, messages.ErrMalformed):
		f.Break(err)
	case !errors.Is(err, queue.ErrNotFound):
		return nil, err
	}
	nodes, err := s.nodes(ctx, name)
	if err != nil {
		return nil, err
	}
	f.Count(nodes)
	rollouts, err := s.rollouts(ctx, name)
	if err != nil {
		return nil, err
	}
	f.TakeRollouts(rollouts, record.Value.Current)
	return f, nil
}

// lastAndActive are the builds that have not ended, and of each pipeline the last that has; and the one before it, where nothing
// had changed for the last.
func lastAndActive(builds []overview.Build) (out []overview.Build) {
	seen, skipped := map[string]bool{}, map[string]bool{}
	for _, b := range builds {
		switch active := b.State == overview.StateQueued || b.State == string(messages.BuildStateRunning) || b.Broken != ""; {
		case active:
			out = append(out, b)
		case seen[b.Pipeline] || skipped[b.Pipeline] && b.Unchanged != "":
		default:
			out = append(out, b)
			seen[b.Pipeline], skipped[b.Pipeline] = b.Unchanged == "", true
		}
	}
	return out
}

func (o *statusReport) write(p *terminal.Page) {
	if o.Disk != "" {
		p.Line("problem: %s", o.Disk)
		p.Line("")
	}
	o.writeProducers(p)
	if len(o.Fleets) == 0 {
		p.Line("No fleet yet: start a distributor, and it joins its fleet with its first heartbeat.")
	}
	for i := range o.Fleets {
		writeFleet(p, &o.Fleets[i])
	}
	o.writeBuilds(p)
	o.writeSchedules(p)
	o.writeFailures(p)
}

func (o *statusReport) writeBuilds(p *terminal.Page) {
	p.Line("")
	if len(o.Builds) == 0 {
		p.Line("No build yet: push to a pipeline's repository, or 'fenceline submit PIPELINE'.")
		return
	}
	p.Head("BUILD", "STATE", "ATTEMPT", "REASON", "UPDATED", "DETAIL")
	for _, b := range o.Builds {
		p.Row(b.Build, b.Shown(), b.Attempt, b.Led(), overview.Ago(overview.Latest(b.Received, b.Updated)), b.Why())
	}
}

// writeFailures writes what somebody has to look at.
func (o *statusReport) writeFailures(p *terminal.Page) {
	for i := range o.Failed {
		p.Line("")
		writeFailed(p, &o.Failed[i])
	}
	if o.DeadLetters > 0 {
		p.Line("\n%s: 'fenceline dead-letters list'", overview.Counted(o.DeadLetters, "dead letter"))
	}
	if o.LettersFull {
		p.Line("\nproblem: there is no room for more dead letters: what nobody can handle is tried again until there is: drop or requeue some")
	}
	for _, id := range sorted(o.Broken) {
		p.Line("\nrollout %s has a record that can't be read, and goes no further: build its image again: %s", id, o.Broken[id])
	}
	for _, u := range o.Unreadable {
		if !u.told {
			p.Line("\nrecord %s of %s is passed over: %s", u.Key, u.Bucket, u.Why)
		}
	}
	for _, f := range o.ForgeProblems {
		p.Line("\nproblem: statuses of pipeline %s don't reach the forge since %s: %s", f.Pipeline, f.Since.Local().Format(time.DateTime), f.Problem)
	}
	for _, k := range o.SinkProblems {
		p.Line("\nproblem: events don't reach the sink %s since %s, %s: %s", k.Sink, k.Since.Local().Format(time.DateTime), overview.Counted(k.Waiting, "event")+" wait", k.Problem)
	}
	o.writePollProblems(p)
	o.writeBaseProblems(p)
	for _, n := range o.Newer {
		p.Line("\n%s of type %s wait for a newer fenceline, which alone can read them: start a %s of that version",
			overview.Counted(int(n.Waiting), "message"), n.Type, n.Role)
	}
}

func writeFleet(p *terminal.Page, f *overview.Fleet) {
	p.Line("fleet %s: %d of %d members up", f.Fleet, f.Up, f.Members)
	switch {
	case f.Broken:
		p.Line("  its record can't be read: what is current is not known")
	case f.Record == nil || f.Record.Current.IsZero():
		p.Line("  no image has been flipped to yet")
	default:
		c := f.Record.Current
		p.Line("  current %s (build %s, epoch %d), present on %d of %d%s", c.Image, c.Build, f.Record.Epoch, f.Holding, f.Members, f.AppliedOn())
	}
	if f.Record != nil && f.Record.Hold != nil {
		h := f.Record.Hold
		p.Line("  HELD by %s %s: %s; 'fenceline release %s' ends it", h.By, overview.Ago(h.At), h.Reason, f.Fleet)
	}
	if f.Record != nil && f.Record.Mended != nil {
		m := f.Record.Mended
		p.Line("  set right by %s %s: %s", m.By, overview.Ago(m.At), m.What)
	}
	for _, r := range f.Rollouts {
		is := string(r.State)
		if known := progress(&r); known != "" {
			is += ", present on " + known
		}
		p.Line("  rollout %s: %s", r.ID, overview.WithReason(is, r.Why))
	}
	if f.Failed != nil {
		writeFailedRollout(p, f.Failed)
	}
	for _, problem := range f.Problems {
		p.Line("  problem: %s", problem)
	}
}
