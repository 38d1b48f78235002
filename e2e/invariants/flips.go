package invariants

import (
	"fmt"
	"slices"
	"time"
)

// Record is a fleet's record as it was stored at one time.
type Record struct {
	Stored  time.Time // by NATS's clock
	Epoch   uint64    // rises by one with each decision about the current image
	Image   string    // the current one
	Order   uint64    // of it
	Rollout string    // by which it became the current one
	Held    bool
}

// Rollout is what a flip had to wait for.
type Rollout struct {
	Members []string
	Quorum  int // percent of the members
	Floor   int // and at least so many
}

// Verdict is what is known of the flips.
type Verdict struct {
	Images  []string // those that were flipped to, in order
	Broken  []string // what was not as it must be, by its number in the design
	NotSeen []string // what could not be judged, and why
}

func (v *Verdict) broken(number int, format string, args ...any) {
	v.Broken = append(v.Broken, fmt.Sprintf("%d: ", number)+fmt.Sprintf(format, args...))
}

func (v *Verdict) notSeen(format string, args ...any) {
	v.NotSeen = append(v.NotSeen, fmt.Sprintf(format, args...))
}

// Flips judges the records of a fleet, in the order in which they were stored, where nobody has
// rolled back or promoted. Rollout reads one by its ID.
func Flips(records []Record, heartbeats *Heartbeats, rollout func(id string) (Rollout, error)) (v Verdict, err error) {
	var before Record
	for _, now := range records {
		if now.Epoch < before.Epoch {
			v.broken(5, "the epoch went from %d to %d", before.Epoch, now.Epoch)
		}
		if now.Epoch > before.Epoch+1 {
			v.notSeen("the decisions between epoch %d and %d", before.Epoch, now.Epoch)
		}
		if now.Epoch != before.Epoch && now.Image != before.Image {
			r, err := rollout(now.Rollout)
			if err != nil {
				return v, err
			}
			v.flip(before, now, r, heartbeats)
		}
		before = now
	}
	return v, nil
}

// flip judges one, from the record before it to its own.
func (v *Verdict) flip(before, now Record, r Rollout, heartbeats *Heartbeats) {
	if slices.Contains(v.Images, now.Image) {
		v.broken(5, "flipped to %s more than once", now.Image)
	}
	v.Images = append(v.Images, now.Image)
	if now.Order <= before.Order {
		v.broken(5, "a flip from order %d to %d", before.Order, now.Order)
	}
	if before.Held && now.Held {
		v.broken(5, "a flip to %s under a hold", now.Image)
	}
	var had, uncertain []string
	for _, member := range r.Members {
		switch heartbeats.had(member, now.Image, now.Stored) {
		case yes:
			had = append(had, member)
		case unseen:
			uncertain = append(uncertain, member)
		case no:
		}
	}
	need := max(r.Floor, (len(r.Members)*r.Quorum+99)/100)
	switch {
	case len(r.Members) == 0 || len(had)+len(uncertain) < need:
		v.broken(4, "flipped to %s when %v of %v had it, and %d had to", now.Image, had, r.Members, need)
	case len(had) < need:
		v.notSeen("heartbeats of %v before the flip to %s at %s, when %v of %v had it and %d had to",
			uncertain, now.Image, now.Stored.Format(time.StampMilli), had, r.Members, need)
	}
}

// Followed judges the values that the fence config had, in their order. It follows the flips to
// images; one that was overtaken may be left out.
func (v *Verdict) Followed(values []string) {
	at := 0
	for _, value := range slices.Compact(slices.Clone(values)) {
		next := slices.Index(v.Images[at:], value)
		if next < 0 {
			v.broken(5, "the fence config had %s, out of the order of the decisions %v", value, v.Images)
			return
		}
		at += next + 1
	}
}
