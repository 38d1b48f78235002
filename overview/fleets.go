package overview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
)

// Fleet is a fleet in short.
type Fleet struct {
	Fleet    string                   `json:"fleet"`
	Record   *messages.FleetRecord    `json:"record,omitempty"` // none before the first rollout
	Broken   bool                     `json:"broken,omitempty"` // it is among the unreadable
	Members  int                      `json:"members"`
	Up       int                      `json:"up"`
	Holding  int                      `json:"holding"`            // members that report the current image present
	Applied  int                      `json:"applied,omitempty"`  // members that have applied it where their own software reads it
	Applying int                      `json:"applying,omitempty"` // members that say what they apply
	Rollouts []messages.RolloutRecord `json:"rollouts,omitempty"` // those under way
	Failed   *messages.RolloutRecord  `json:"failed,omitempty"`   // the last, unless there was a flip since
	Problems []string                 `json:"problems,omitempty"`

	Unread error `json:"-"` // why its record can't be read
}

// Break notes that the fleet's record can't be read.
func (f *Fleet) Break(err error) {
	f.Broken, f.Unread = true, err
	f.Problems = append(f.Problems, fmt.Sprintf("%v: nothing is decided until 'fenceline fleets repair %s'", err, f.Fleet))
}

// Count takes in what the nodes say, and what is wrong.
func (f *Fleet) Count(nodes []Node) {
	f.Members = len(nodes)
	for _, n := range nodes {
		if n.Up {
			f.Up++
		}
		if f.Record != nil && n.Has(f.Record.Current.Image) {
			f.Holding++
		}
		if n.Status != nil && n.Status.Applied != nil && n.Counts() {
			f.Applying++
			if f.Record != nil && n.Status.Applied.Has(f.Record.Current.Image) {
				f.Applied++
			}
		}
		if n.Troubled() {
			f.Problems = append(f.Problems, "node "+n.Node+": "+n.Doing())
		}
	}
	if f.Record == nil {
		return
	}
	if e := f.Record.Applied.Error; e != "" {
		f.Problems = append(f.Problems, "fence config: "+e)
	}
	if b := f.Record.Bases; b != nil {
		for _, r := range b.Refused {
			f.Problems = append(f.Problems, fmt.Sprintf("base %s of build %s is not preloaded: %s", r.Image, b.Build, r.Reason))
		}
	}
	if r := f.Record; r.Applied.Epoch < r.Epoch && r.Applied.Error == "" {
		f.Problems = append(f.Problems, fmt.Sprintf("fence config: follows epoch %d, %d is decided: is a controller running?", r.Applied.Epoch, r.Epoch))
	}
}

// AppliedOn says on how many members the current image is applied, where any says so.
func (f *Fleet) AppliedOn() string {
	switch {
	case f.Applying == 0:
		return ""
	case f.Applying < f.Members:
		return fmt.Sprintf(", applied on %d of the %d that say so", f.Applied, f.Applying)
	}
	return fmt.Sprintf(", applied on %d of %d", f.Applied, f.Members)
}

// TakeRollouts takes in the fleet's rollouts: those under way, and the last that failed. All are as SortRollouts has them.
func (f *Fleet) TakeRollouts(all []messages.RolloutRecord, current messages.FleetImage) {
	f.Failed = FailedRollout(all, current)
	f.Rollouts = slices.DeleteFunc(slices.Clone(all), func(r messages.RolloutRecord) bool { return r.State.Final() })
}

// SortRollouts sorts rollouts, the newest first.
func SortRollouts(all []messages.RolloutRecord) {
	slices.SortFunc(all, func(a, b messages.RolloutRecord) int {
		return cmp.Or(cmp.Compare(b.Ready.Order, a.Ready.Order), strings.Compare(a.ID, b.ID))
	})
}

// FailedRollout is the fleet's last rollout that failed or was rolled back, unless a later one
// was flipped to, or its image was made current all the same. One that failed in its soak may
// be current.
func FailedRollout(all []messages.RolloutRecord, current messages.FleetImage) *messages.RolloutRecord {
	var last *messages.RolloutRecord
	for i := range all {
		switch r := &all[i]; r.State {
		case messages.RolloutFailed, messages.RolloutRolledBack,
			messages.RolloutFlipped, messages.RolloutSoaking, messages.RolloutDone:
			if last == nil || cmp.Or(cmp.Compare(r.Ready.Order, last.Ready.Order), r.Updated.Compare(last.Updated)) > 0 {
				last = r
			}
		}
	}
	if last == nil || last.State != messages.RolloutFailed && last.State != messages.RolloutRolledBack ||
		last.Ready.Image == current.Image && !last.FailedInSoak() || last.Ready.Order < current.Order {
		return nil
	}
	return last
}
