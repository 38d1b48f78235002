package decide

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// ImageOf is a rollout's image as the fleet record names it.
func ImageOf(r *messages.RolloutRecord) messages.FleetImage {
	return messages.FleetImage{
		Image: r.Ready.Image, Build: r.Ready.Build, Order: r.Ready.Order, Rollout: r.ID, HooksDir: r.Ready.HooksDir,
	}
}

// Forward makes an image current. Its rollout's waves go on from where they were. What was current is the previous image then, and of the older ones
// as many as keep says are kept.
func Forward(r *messages.FleetRecord, to messages.FleetImage, keep int) {
	var rest []messages.FleetImage
	for _, i := range append([]messages.FleetImage{r.Previous}, r.Keep...) {
		if !i.IsZero() && i.Image != to.Image && i.Image != r.Current.Image {
			rest = append(rest, i)
		}
	}
	if r.Current.Image != to.Image {
		r.Previous = r.Current
	} else if len(rest) > 0 { // the same content was built again
		r.Previous, rest = rest[0], rest[1:]
	}
	r.Keep = newestFirst(rest)
	if len(r.Keep) > keep {
		r.Keep = r.Keep[:keep]
	}
	r.Current = to
	r.Epoch++
	r.Highest = max(r.Highest, to.Order)
	if r.Rollout == to.Rollout {
		r.Rollout = "" // it moves no more
	}
	r.Spread = nil
	if to.Rollout != "" {
		r.Spread = &messages.Spread{Rollout: to.Rollout}
	}
	if r.Preload != nil && r.Preload.Rollout == to.Rollout {
		r.Spread.Threshold = r.Preload.Threshold
		r.Preload = nil
	}
	r.Soaking = ""
}

// TakeFence has the fence config live in the place, and name images in the form, of a rollout that is about to
// be flipped to, where its image is newer than any before: going back to an older one changes neither.
func TakeFence(r *messages.FleetRecord, to messages.FleetImage, p *messages.Policy) {
	if to.Order <= r.Highest {
		return
	}
	r.Fence, r.Reference = p.Fence, p.Reference
	if r.Reference == messages.ReferenceDigest {
		r.Reference = ""
	}
}

// Back makes an earlier image current and sets a hold that names the epoch of this. What was current
// is kept, so that it can be promoted again. The previous image is then the newest of those that are
// older than the one gone back to.
func Back(r *messages.FleetRecord, to messages.FleetImage, hold messages.Hold) {
	rest := []messages.FleetImage{}
	for _, i := range append([]messages.FleetImage{r.Current, r.Previous}, r.Keep...) {
		if !i.IsZero() && i.Image != to.Image {
			rest = append(rest, i)
		}
	}
	rest = newestFirst(rest)
	r.Current, r.Previous = to, messages.FleetImage{}
	if i := slices.IndexFunc(rest, func(i messages.FleetImage) bool { return i.Order < to.Order }); i >= 0 {
		r.Previous = rest[i]
		rest = slices.Delete(rest, i, i+1)
	}
	r.Keep = rest
	r.Epoch++
	r.Soaking, r.Spread = "", nil
	hold.Epoch = r.Epoch
	r.Hold = &hold
	Sign(r, hold.By, hold.Reason, hold.At)
}

// Sign says who has made an image current, why and when.
func Sign(r *messages.FleetRecord, by, reason string, at time.Time) {
	r.Decided = &messages.Decided{Epoch: r.Epoch, By: by, Reason: reason, At: at.UTC()}
}

// newestFirst sorts images by order, and drops those named twice.
func newestFirst(in []messages.FleetImage) []messages.FleetImage {
	out := []messages.FleetImage{}
	slices.SortStableFunc(in, func(a, b messages.FleetImage) int { return cmp.Compare(b.Order, a.Order) })
	for _, i := range in {
		if !slices.ContainsFunc(out, func(o messages.FleetImage) bool { return o.Image == i.Image }) {
			out = append(out, i)
		}
	}
	return out
}

// NewHold is a hold that somebody sets now.
func NewHold(by, reason string, now time.Time) messages.Hold {
	return messages.Hold{By: by, Reason: reason, At: now.UTC()}
}

// Kept lists the images that a fleet can go back to, the previous one first.
func Kept(r *messages.FleetRecord) []messages.FleetImage {
	var out []messages.FleetImage
	if !r.Previous.IsZero() {
		out = append(out, r.Previous)
	}
	return append(out, r.Keep...)
}

// ClearRollout takes a rollout that moves, and its preload, out of the fleet's record.
func ClearRollout(f *messages.FleetRecord, rollout string) {
	f.Rollout = ""
	if f.Preload != nil && f.Preload.Rollout == rollout {
		f.Preload = nil
	}
}

// RemoveNodes takes nodes out of a rollout's record: it counts and waits for them no more. How many a flip
// counted stays, also where it was flipped by a controller that didn't note it.
func RemoveNodes(r *messages.RolloutRecord, gone func(node string) bool) {
	if !r.FlippedAt.IsZero() {
		r.MemberCount = r.Counts()
	}
	r.Members = slices.DeleteFunc(slices.Clone(r.Members), gone)
	r.Canaries = slices.DeleteFunc(slices.Clone(r.Canaries), gone)
	r.Failed, r.Trials = maps.Clone(r.Failed), maps.Clone(r.Trials)
	maps.DeleteFunc(r.Failed, func(n, _ string) bool { return gone(n) })
	maps.DeleteFunc(r.Trials, func(n string, _ messages.TrialResult) bool { return gone(n) })
}

// cloneRecord copies what a change of the record may touch.
func cloneRecord(r messages.FleetRecord) messages.FleetRecord {
	r.Keep = slices.Clone(r.Keep)
	if r.Preload != nil {
		p := *r.Preload
		r.Preload = &p
	}
	if r.Spread != nil {
		p := *r.Spread
		r.Spread = &p
	}
	if r.Hold != nil {
		h := *r.Hold
		r.Hold = &h
	}
	if r.Bases != nil {
		b := *r.Bases
		r.Bases = &b
	}
	return r
}
