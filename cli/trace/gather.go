package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
)

const (
	// buildsMost is how many builds a chain has unless all are asked for, and receiptsMost how many receipts of a rollout.
	buildsMost   = 5
	receiptsMost = 20
)

// Of puts together the chain of a word. All has it list what is else only counted.
func (r *Records) Of(word string, all bool) (*Chain, error) {
	m, err := r.find(word)
	if err != nil {
		return nil, err
	}
	c := &Chain{Asked: word, Kind: m.kind, Value: m.value, Builds: []Build{}, Broken: r.Broken}
	if m.kind == kindNode {
		c.Node = r.node(m.value)
		if !c.Node.Heard {
			c.Gone = append(c.Gone, "the node is not heard: what it holds, applied and runs is not known")
		}
	}
	found := r.meant(m, c.Node)
	if !all && len(found) > buildsMost {
		c.More = len(found) - buildsMost
		found = found[:buildsMost]
	}
	for _, id := range found {
		b, gone, err := r.build(id, all)
		if err != nil {
			return nil, err
		}
		c.Builds = append(c.Builds, b)
		c.Gone = append(c.Gone, gone...)
	}
	if m.kind == kindImage && len(found) == 0 {
		c.Gone = append(c.Gone, "nothing has what made the image: records of what has ended are kept for "+r.kept())
	}
	return c, nil
}

// meant are the builds that something is about, the newest first. Those of a node are of the images that its fleet has
// current, that it applied, and that its containers run.
func (r *Records) meant(m meaning, n *Node) []string {
	images := map[string]bool{}
	if n != nil {
		f := r.Fleets[n.Fleet]
		images[f.Current.Image.Digest()] = true
		if n.Applied != nil {
			images[n.Applied.Image.Digest()] = true
		}
		for _, c := range n.Old {
			images[digestOf(c.Image)] = true
		}
	}
	if m.kind == kindImage {
		images[m.value] = true
	}
	delete(images, "")
	orders := map[string]uint64{}
	for _, b := range r.Builds {
		ready := overview.MadeBy(&b)
		if m.kind == kindBuild && b.Build == m.value || m.kind == kindCommit && b.Commit == m.value || images[b.Image.Digest()] ||
			m.kind == kindBase && ready != nil && slices.ContainsFunc(ready.Bases, func(p messages.PinnedBase) bool { return p.Image.Digest() == m.value }) {
			orders[b.Build] = b.Order
		}
	}
	for _, q := range r.Queued {
		if m.kind == kindBuild && q.Build == m.value || m.kind == kindCommit && q.Commit == m.value {
			orders[q.Build] = q.Order
		}
	}
	for _, ro := range r.Rollouts {
		if m.kind == kindBuild && ro.Ready.Build == m.value || m.kind == kindCommit && ro.Ready.Commit == m.value || images[ro.Ready.Image.Digest()] {
			orders[ro.Ready.Build] = ro.Ready.Order
		}
	}
	all := make([]string, 0, len(orders))
	for id := range orders {
		all = append(all, id)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(orders[b], orders[a]), strings.Compare(a, b)) })
	return all
}

// build is what the records have of a build, and what is gone of it.
func (r *Records) build(id string, all bool) (b Build, gone []string, err error) {
	b = Build{Build: id, State: "gone"}
	var ready *messages.ImageReady
	record := slices.IndexFunc(r.Builds, func(b messages.BuildRecord) bool { return b.Build == id })
	queued := slices.IndexFunc(r.Queued, func(q messages.BuildRequested) bool { return q.Build == id })
	switch {
	case record >= 0:
		ready = overview.MadeBy(&r.Builds[record])
		b.ofRecord(&r.Builds[record])
		b.Since = r.sincePrevious(&r.Builds[record], ready)
		if ready == nil && b.Attempts > 0 {
			if b.Bases, err = r.Pinned(&r.Builds[record]); err != nil {
				return b, nil, err
			}
		}
	case queued >= 0:
		q := &r.Queued[queued]
		b.Pipeline, b.Order, b.State, b.Commit, b.Ref, b.By, b.Matched, b.Received = q.Pipeline.Name, q.Order, "queued", q.Commit, q.FullRef(), q.RequestedBy, q.Matched, q.Received
		b.Reason = new(q.Why())
	default:
		gone = append(gone, fmt.Sprintf("the record of build %s: who asked for it, its builder and its attempts; records of what has ended are kept for %s", id, r.kept()))
	}
	for i := range r.Rollouts {
		ro := &r.Rollouts[i]
		if ro.Ready.Build != id {
			continue
		}
		if ready == nil {
			ready = &ro.Ready
		}
		told, err := r.rollout(ro, all)
		if err != nil {
			return b, gone, err
		}
		b.Rollouts = append(b.Rollouts, told)
		if len(told.Receipts) == 0 {
			gone = append(gone, fmt.Sprintf("what was told of rollout %s: events are kept for %s", ro.ID, r.kept()))
		}
		if !told.Flipped.IsZero() && len(told.Current) == 0 {
			gone = append(gone, fmt.Sprintf("the decision of rollout %s: the history of the fence config of fleet %s has nothing of it any more", ro.ID, ro.Fleet))
		}
	}
	slices.SortFunc(b.Rollouts, func(x, y Rollout) int { return strings.Compare(x.Fleet, y.Fleet) })
	if ready != nil {
		b.ofImage(ready)
		for _, to := range ready.Fleets {
			if !slices.ContainsFunc(b.Rollouts, func(ro Rollout) bool { return ro.Fleet == to.Fleet }) {
				gone = append(gone, fmt.Sprintf("the rollout of build %s in fleet %s: it is not opened yet, or its record is dropped", id, to.Fleet))
			}
		}
	}
	return b, gone, nil
}

func (b *Build) ofRecord(r *messages.BuildRecord) {
	b.Pipeline, b.Order, b.State, b.Commit, b.Ref, b.By, b.Matched = r.Pipeline, r.Order, string(r.State), r.Commit, r.Ref, r.By, r.Matched
	b.Received, b.Trace, b.Worker, b.Attempts, b.LastError = r.Received, r.Trace, r.Worker, r.Attempt, r.LastError
	b.Unchanged, b.Failure, b.Head, b.Follows, b.Image, b.Tag = r.Unchanged, r.Failure, r.Head, r.FollowedBy, r.Image, r.Tag
	if r.Reason != nil || r.Cause != "" {
		b.Reason = new(r.Why())
	}
	if r.Ended() {
		b.Ended = r.Updated
		if r.Outcome != nil {
			if e, _, err := messages.Decode(*r.Outcome); err == nil {
				b.Ended = e.Time
			}
		}
	}
	if r.Queued() {
		b.State = "queued"
	}
}

func (b *Build) ofImage(m *messages.ImageReady) {
	b.Image, b.Tag, b.Bytes, b.Bases, b.Warnings = m.Image, cmp.Or(b.Tag, m.Tag), m.Bytes, m.Bases, m.Warnings
	b.Pipeline, b.Order, b.Commit, b.Ref = cmp.Or(b.Pipeline, m.Pipeline), cmp.Or(b.Order, m.Order), cmp.Or(b.Commit, m.Commit), cmp.Or(b.Ref, m.Ref)
	if b.Reason == nil {
		b.Reason = m.Reason
	}
	if b.Received.IsZero() {
		b.Received = m.Received
	}
}

// sincePrevious is how an image differs from that of the build before it, of the same pipeline and ref.
func (r *Records) sincePrevious(of *messages.BuildRecord, ready *messages.ImageReady) *Change {
	if ready == nil {
		return nil
	}
	var made []*messages.ImageReady
	for i := range r.Builds {
		if b := &r.Builds[i]; b.Pipeline == of.Pipeline {
			if m := overview.MadeBy(b); m != nil {
				made = append(made, m)
			}
		}
	}
	last := overview.ImageBefore(made, &messages.ImageReady{BuildRef: of.BuildRef, Ref: of.Ref})
	if last == nil {
		return nil
	}
	c := &Change{Build: last.Build, Image: last.Image, Bytes: ready.Bytes - last.Bytes}
	was := map[string]messages.Image{}
	for _, b := range last.Bases {
		was[b.Source] = b.Image
	}
	for _, b := range ready.Bases {
		if from := was[b.Source]; from != b.Image {
			c.Bases = append(c.Bases, BaseChange{b.Source, from, b.Image})
		}
		delete(was, b.Source)
	}
	for _, b := range last.Bases {
		if from, left := was[b.Source]; left {
			c.Bases = append(c.Bases, BaseChange{Source: b.Source, From: from})
		}
	}
	return c
}

// rollout is what became of an image in a fleet.
func (r *Records) rollout(of *messages.RolloutRecord, all bool) (Rollout, error) {
	ro := Rollout{
		ID: of.ID, Fleet: of.Fleet, State: of.State, Why: of.Why, Opened: of.Opened, Flipped: of.FlippedAt, Updated: of.Updated, Approved: of.Approved, Because: of.ApprovedWhy, Aborted: of.Aborted, Stopped: of.AbortedWhy,
		Members: of.Counts(), Present: of.Present, Failed: of.Failed, Trials: of.Trials,
	}
	receipts, err := r.Receipts(of.Fleet)
	if err != nil {
		return ro, err
	}
	ro.Receipts = receipts[of.ID]
	if n := len(ro.Receipts) - receiptsMost; n > 0 && !all {
		ro.Earlier, ro.Receipts = n, ro.Receipts[n:]
	}
	history, err := r.History(of.Fleet)
	if err != nil {
		return ro, err
	}
	for _, c := range history {
		if c.Cause.Rollout == of.ID || c.Cause.Rollout == "" && digestOf(c.Value) == of.Ready.Image.Digest() {
			ro.Current = append(ro.Current, Decision{c.At, c.Cause.Epoch, fmt.Sprint(c.Revision), c.Value, c.Cause.By, c.Cause.Reason})
		}
	}
	f := r.Fleets[of.Fleet]
	if ro.Now = f.Current.Image != "" && f.Current.Rollout == of.ID; ro.Now {
		ro.Nodes = r.nodes(&f, all)
	}
	return ro, nil
}
