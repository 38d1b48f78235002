package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/spf13/cobra"
)

// overview is what `status` shows.
type overview struct {
	Fleets      []fleetStatus     `json:"fleets"`
	Builds      []buildRow        `json:"builds"` // queued and running, and the last of each pipeline
	Failed      []buildRow        `json:"failed"` // the last of each pipeline that has made no image since
	DeadLetters int               `json:"dead_letters"`
	Newer       []store.NewerWork `json:"newer,omitempty"` // what only a newer version of fenceline can read
	Unreadable  []unreadable      `json:"unreadable,omitempty"`
}

// unreadable is a record that is passed over, or whose name is not its key; of a fleet's its fleet says it.
type unreadable struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
	Why    string `json:"why"`
}

// fleetStatus is a fleet in short.
type fleetStatus struct {
	Fleet    string                   `json:"fleet"`
	Record   *messages.FleetRecord    `json:"record,omitempty"` // none before the first rollout
	Broken   bool                     `json:"broken,omitempty"` // there is one, and it can't be read
	Members  int                      `json:"members"`
	Up       int                      `json:"up"`
	Holding  int                      `json:"holding"`            // members that report the current image present
	Rollouts []messages.RolloutRecord `json:"rollouts,omitempty"` // those under way
	Failed   *messages.RolloutRecord  `json:"failed,omitempty"`   // the last, unless there was a flip since
	Problems []string                 `json:"problems,omitempty"`
}

func newStatusCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Say what is happening, and why not",
		Example: "  fenceline status\n  fenceline status -o json",
		Args:    settings.Args(0, 0),
	}
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		o, err := s.overview(ctx)
		if err != nil {
			return err
		}
		return s.print(o, o.write)
	})
}

func (s *session) overview(ctx context.Context) (*overview, error) {
	o := &overview{Fleets: []fleetStatus{}, Builds: []buildRow{}}
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
	}
	builds, err := s.allBuilds(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, b := range builds {
		active := b.State == stateQueued || b.State == string(messages.BuildStateRunning)
		if active || !seen[b.Pipeline] {
			o.Builds = append(o.Builds, b)
		}
		seen[b.Pipeline] = seen[b.Pipeline] || !active
	}
	o.Failed = failedBuilds(builds)
	letters, err := s.builds().DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	o.DeadLetters = len(letters)
	for _, b := range s.queue.PassedOver() {
		if b.Bucket != s.queue.Space().FleetsBucket() {
			o.Unreadable = append(o.Unreadable, unreadable{b.Bucket, b.Key, b.Err.Error()})
		}
	}
	o.Newer, err = store.Newer(ctx, s.queue)
	return o, err
}

func (s *session) fleetStatus(ctx context.Context, name string) (*fleetStatus, error) {
	f := &fleetStatus{Fleet: name}
	record, err := store.Fleets(s.queue).Get(ctx, name)
	switch {
	case err == nil:
		f.Record = &record.Value
	case errors.Is(err, messages.ErrMalformed):
		f.Broken = true
		f.Problems = append(f.Problems, fmt.Sprintf("%v: nothing is decided until 'fenceline fleets repair %s'", err, name))
	case !errors.Is(err, queue.ErrNotFound):
		return nil, err
	}
	nodes, err := s.nodes(ctx, name)
	if err != nil {
		return nil, err
	}
	f.count(nodes)
	rollouts, err := s.rollouts(ctx, name)
	if err != nil {
		return nil, err
	}
	f.Failed = failedRollout(slices.Clone(rollouts), record.Value.Current)
	f.Rollouts = slices.DeleteFunc(rollouts, func(r messages.RolloutRecord) bool { return r.State.Final() })
	return f, nil
}

// count takes in what the nodes say, and what is wrong.
func (f *fleetStatus) count(nodes []nodeRow) {
	f.Members = len(nodes)
	for _, n := range nodes {
		if n.Up {
			f.Up++
		}
		if f.Record != nil && n.has(f.Record.Current.Image) {
			f.Holding++
		}
		if n.troubled() {
			f.Problems = append(f.Problems, "node "+n.Node+": "+n.doing())
		}
	}
	if f.Record == nil {
		return
	}
	if e := f.Record.Applied.Error; e != "" {
		f.Problems = append(f.Problems, "fence config: "+e)
	}
	if r := f.Record; r.Applied.Epoch < r.Epoch && r.Applied.Error == "" {
		f.Problems = append(f.Problems, fmt.Sprintf("fence config: follows epoch %d, %d is decided: is a controller running?", r.Applied.Epoch, r.Epoch))
	}
}

func (o *overview) write(w io.Writer) {
	if len(o.Fleets) == 0 {
		fmt.Fprintln(w, "No fleet yet: start a distributor, and it joins its fleet with its first heartbeat.")
	}
	for i := range o.Fleets {
		o.Fleets[i].write(w)
	}
	o.writeBuilds(w)
	o.writeFailures(w)
}

func (o *overview) writeBuilds(w io.Writer) {
	fmt.Fprintln(w)
	if len(o.Builds) == 0 {
		fmt.Fprintln(w, "No build yet: push to a pipeline's repository, or 'fenceline submit PIPELINE'.")
		return
	}
	head(w, "BUILD", "STATE", "ATTEMPT", "UPDATED", "DETAIL")
	for _, b := range o.Builds {
		row(w, b.Build, b.State, b.Attempt, ago(latest(b.Received, b.Updated)), b.why())
	}
}

// writeFailures writes what somebody has to look at.
func (o *overview) writeFailures(w io.Writer) {
	for i := range o.Failed {
		fmt.Fprintln(w)
		o.Failed[i].writeFailed(w)
	}
	if o.DeadLetters > 0 {
		fmt.Fprintf(w, "\n%s: 'fenceline dead-letters list'\n", counted(o.DeadLetters, "dead letter"))
	}
	for _, u := range o.Unreadable {
		fmt.Fprintf(w, "\nrecord %s of %s is passed over: %s\n", printable(u.Key), u.Bucket, printable(u.Why))
	}
	for _, n := range o.Newer {
		fmt.Fprintf(w, "\n%s of type %s wait for a newer fenceline, which alone can read them: start a %s of that version\n",
			counted(int(n.Waiting), "message"), n.Type, n.Role)
	}
}

func (f *fleetStatus) write(w io.Writer) {
	fmt.Fprintf(w, "fleet %s: %d of %d members up\n", f.Fleet, f.Up, f.Members)
	switch {
	case f.Broken:
		fmt.Fprintln(w, "  its record can't be read: what is current is not known")
	case f.Record == nil || f.Record.Current.IsZero():
		fmt.Fprintln(w, "  no image has been flipped to yet")
	default:
		c := f.Record.Current
		fmt.Fprintf(w, "  current %s (build %s, epoch %d), present on %d of %d\n", c.Image, c.Build, f.Record.Epoch, f.Holding, f.Members)
	}
	if f.Record != nil && f.Record.Hold != nil {
		h := f.Record.Hold
		fmt.Fprintf(w, "  HELD by %s %s: %s; 'fenceline release %s' ends it\n", h.By, ago(h.At), h.Reason, f.Fleet)
	}
	if f.Record != nil && f.Record.Mended != nil {
		m := f.Record.Mended
		fmt.Fprintf(w, "  set right by %s %s: %s\n", m.By, ago(m.At), m.What)
	}
	for _, r := range f.Rollouts {
		fmt.Fprintf(w, "  rollout %s: %s, present on %s: %s\n", r.ID, r.State, progress(&r), r.Why)
	}
	if f.Failed != nil {
		writeFailedRollout(w, f.Failed)
	}
	for _, p := range f.Problems {
		fmt.Fprintf(w, "  problem: %s\n", p)
	}
}
