package decide

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// Outlook is what a rollout that began now would meet in a fleet.
type Outlook struct {
	Members   int               `json:"members"`
	Absent    map[string]string `json:"absent,omitempty"` // members that would not count as present as they are, and why
	Needed    int               `json:"needed"`           // members that must have the image before the flip
	Canaries  int               `json:"canaries"`         // members that get the image first, and try it unless the policy has no trial
	Waves     []int             `json:"waves"`            // how many members are admitted from each wave on, without failures
	InFlight  int               `json:"in_flight"`        // how many fetch at one time; 0 for any number
	Obstacles []Obstacle        `json:"obstacles"`        // what stands between the image and the flip, none where nothing does
}

// Obstacle is something that a flip waits for, or that keeps it from ever coming.
type Obstacle struct {
	Kind ObstacleKind `json:"kind"`
	Why  string       `json:"why"`
}

// ObstacleKind is what an obstacle is about.
type ObstacleKind string

// The obstacles of a fleet.
const (
	ObstacleMembers  ObstacleKind = "members"  // the fleet has none, or too many
	ObstacleQuorum   ObstacleKind = "quorum"   // too few members could have the image
	ObstacleCanaries ObstacleKind = "canaries" // too few members could try it
	ObstacleApply    ObstacleKind = "apply"    // too few members say what they apply
	ObstacleApproval ObstacleKind = "approval" // a person's word is asked for
	ObstacleHold     ObstacleKind = "hold"     // somebody, or a rollback, stopped flips
	ObstacleSoak     ObstacleKind = "soak"     // an image soaks
	ObstacleRollout  ObstacleKind = "rollout"  // another rollout comes first
	ObstacleOrder    ObstacleKind = "order"    // the fleet takes no image of the orders that are given
)

// Foresee says what a rollout with a policy would meet that began now. Order is the one that its build would get, at the
// least. Unfit are members that could not have the image, with the reasons, beside those that Foresee finds.
func Foresee(s *State, policy *messages.Policy, order uint64, unfit map[string]string) *Outlook {
	r := &messages.RolloutRecord{ID: "foreseen", Fleet: s.Record.Fleet, Policy: *policy, Members: s.Members}
	r.Ready.Order = order
	n := len(s.Members)
	o := &Outlook{Members: n, Absent: maps.Clone(unfit), Needed: Quorum(policy, n), InFlight: policy.MaxInFlight, Obstacles: []Obstacle{}}
	if o.Absent == nil {
		o.Absent = map[string]string{}
	}
	able := 0
	for _, name := range s.Members {
		if why := s.Nodes[name].absence(policy); why != "" {
			o.Absent[name] = why
		} else if unfit[name] == "" {
			able++
		}
	}
	asked := min(policy.Canaries, n)
	o.Canaries = min(asked, able)
	for _, w := range policy.Waves {
		o.Waves = append(o.Waves, max(PercentOf(w, n), o.Canaries))
	}
	o.meet(ObstacleMembers, s.noMembers(r))
	if n > 0 {
		o.meet(ObstacleQuorum, o.shortOfQuorum(able))
		o.meet(ObstacleCanaries, o.shortOfCanaries(policy, asked))
		o.meet(ObstacleApply, s.applyGap(r))
	}
	s.gates(o, r)
	return o
}

func (o *Outlook) meet(kind ObstacleKind, why string) {
	if why != "" {
		o.Obstacles = append(o.Obstacles, Obstacle{kind, why})
	}
}

// absence is why a node would not count as present if it were asked to have an image now, or "".
func (n Node) absence(policy *messages.Policy) string {
	switch {
	case n.Status.Node == "":
		return "silent: no heartbeat"
	case n.uncounted() != "":
		return n.uncounted()
	case !n.Fresh:
		return "silent: its heartbeats stopped"
	case n.Status.Engine.Error != "":
		return "engine: " + fitText(n.Status.Engine.Error, reasonMost)
	}
	for _, p := range n.Status.Images {
		if p.LocalOnly && policy.Reference != messages.ReferenceLocal {
			return n.OtherName(p.Image, policy.Reference)
		}
	}
	return ""
}

func (s *State) noMembers(r *messages.RolloutRecord) string {
	if len(s.Members) == 0 {
		return "the fleet has no members: start a distributor on a node"
	}
	return tooMany(r, s.Members)
}

// shortOfQuorum says that the quorum can't be had with so many members that are able to have the image, or "".
func (o *Outlook) shortOfQuorum(able int) string {
	switch {
	case o.Needed > o.Members:
		return fmt.Sprintf("%d nodes must have the image, but the fleet has %s: lower quorum_floor or add nodes", o.Needed, Count(o.Members, "member", "members"))
	case able < o.Needed:
		return fmt.Sprintf("%d of %s must have the image, and %d could: %s would not count", o.Needed, Count(o.Members, "member", "members"), able,
			JoinNames(slices.Sorted(maps.Keys(o.Absent))))
	}
	return ""
}

func (o *Outlook) shortOfCanaries(policy *messages.Policy, asked int) string {
	if policy.Trial.Disabled || o.Canaries >= asked {
		return ""
	}
	return fmt.Sprintf("%s must try the image, and %s", Count(asked, "canary", "canaries"), Count(o.Canaries, "member could", "members could"))
}

// gates are what stands in the way of a flip for which enough nodes have the image.
func (s *State) gates(o *Outlook, r *messages.RolloutRecord) {
	if r.Policy.Approval {
		o.meet(ObstacleApproval, "its rollout waits for a person: fenceline approve")
	}
	if h := s.Record.Hold; h != nil {
		o.meet(ObstacleHold, fmt.Sprintf("held by %s (%s): fenceline release %s", h.By, h.Reason, s.Record.Fleet))
	}
	if id := s.Record.Soaking; id != "" {
		why := "the image of " + id + " soaks"
		if w := s.rollout(id); w != nil {
			if left := w.Policy.Soak.Std() - s.Soaked; w.Policy.Soak == 0 {
				why = "too few nodes have applied the image of " + id + " yet"
			} else if left > 0 {
				why += fmt.Sprintf(", for another %s or so", left.Round(1e9))
			}
		}
		o.meet(ObstacleSoak, why)
	}
	if m := s.rollout(s.Record.Rollout); m != nil && s.nearlyThere(m) {
		o.meet(ObstacleRollout, "rollout "+m.ID+" is nearly there, and comes first")
	}
	if r.Ready.Order <= s.Record.Highest {
		o.meet(ObstacleOrder, fmt.Sprintf("the fleet takes no image of an order up to %d, and the next build has %d: fenceline fleets order",
			s.Record.Highest, cmp.Or(r.Ready.Order, 1)))
	}
}
