package messages

import (
	"time"
)

// RolloutState is how far a rollout is.
type RolloutState string

// The states of a rollout. Those from RolloutDone on are final.
const (
	RolloutWaiting    RolloutState = "waiting"    // for the fleet before it, a soak, a newer decision
	RolloutPreloading RolloutState = "preloading" // nodes fetch the image and canaries try it
	RolloutApproval   RolloutState = "approval"   // everything holds but a person's word
	RolloutHeld       RolloutState = "held"       // everything holds, but the fleet has a hold
	RolloutFlipped    RolloutState = "flipped"    // decided; the backend is being driven
	RolloutSoaking    RolloutState = "soaking"
	RolloutDone       RolloutState = "done"
	RolloutFailed     RolloutState = "failed" // trial failed, or quorum can't be had
	RolloutAborted    RolloutState = "aborted"
	RolloutSuperseded RolloutState = "superseded" // a newer image took its place
	RolloutRolledBack RolloutState = "rolled-back"
)

// RolloutStates lists them in that order.
func RolloutStates() []RolloutState {
	return []RolloutState{
		RolloutWaiting, RolloutPreloading, RolloutApproval, RolloutHeld, RolloutFlipped, RolloutSoaking, RolloutDone,
		RolloutFailed, RolloutAborted, RolloutSuperseded, RolloutRolledBack,
	}
}

// Final tells whether nothing more happens in this state.
func (s RolloutState) Final() bool {
	switch s {
	case RolloutDone, RolloutFailed, RolloutAborted, RolloutSuperseded, RolloutRolledBack:
		return true
	}
	return false
}

// RolloutRecord is a rollout, in the rollouts bucket under its ID. It reports and steers
// progress; what is decided stands in the FleetRecord alone.
type RolloutRecord struct {
	ID       string       `json:"id"`
	Fleet    string       `json:"fleet"`
	After    string       `json:"after,omitempty"` // fleet whose rollout of this build must be done first
	Ready    ImageReady   `json:"ready"`
	Policy   Policy       `json:"policy"`
	Members  []string     `json:"members,omitempty"`  // frozen when preloading began, sorted; those that joined before the flip were added. None once it is over
	Canaries []string     `json:"canaries,omitempty"` // those of Members that try the image
	State    RolloutState `json:"state"`
	Why      string       `json:"why,omitempty"` // why it waits or ended, for people
	// Unusable is why the rollout must fail where too many nodes can't use its image; "" where not.
	Unusable string                 `json:"unusable,omitempty"`
	Wave     int                    `json:"wave,omitempty"`
	Admitted int                    `json:"admitted,omitempty"` // members below the threshold
	Present  int                    `json:"present,omitempty"`
	Failed   map[string]string      `json:"failed,omitempty"`   // node to reason, the first of FailedCount
	Trials   map[string]TrialResult `json:"trials,omitempty"`   // canary to result
	Approved string                 `json:"approved,omitempty"` // by whom
	Aborted  string                 `json:"aborted,omitempty"`  // by whom, asked for
	// ApprovedWhy and AbortedWhy are the reasons that those gave; "" where they gave none.
	ApprovedWhy string         `json:"approved_why,omitempty"`
	AbortedWhy  string         `json:"aborted_why,omitempty"`
	Stale       []ContainerUse `json:"stale,omitempty"` // containers that still ran another image when it was done, the first of StaleCount
	Opened      time.Time      `json:"opened"`
	FlippedAt   time.Time      `json:"flipped_at,omitzero"`
	Updated     time.Time      `json:"updated"`
	// Traceparent is what the rollout publishes, and its nodes do, carries on: that of the image-ready event that opened it,
	// or of the rollout's own span below that one, which is OpenedBy then.
	Traceparent string `json:"traceparent,omitempty"`
	OpenedBy    string `json:"opened_by,omitempty"`
	// MemberCount is how many members it counted when it was flipped, or else when it was over. Members
	// may be fewer since: some were retired, or it names none.
	MemberCount int `json:"member_count,omitempty"`
	// FailedCount and StaleCount are how many there are, as Failed and Stale name only so
	// many as fit a record; StaleNodes is how many nodes ran those containers.
	FailedCount int `json:"failed_count,omitempty"`
	StaleCount  int `json:"stale_count,omitempty"`
	StaleNodes  int `json:"stale_nodes,omitempty"`
	// Curve is how far the members were whenever a controller wrote of it while they were asked for the image, oldest first, thinned out
	// where it becomes long: for people. Rollouts of older controllers have none.
	Curve []CurvePoint `json:"curve,omitempty"`
}

// CurvePoint is how far a rollout's members were at one moment, by what they had said last.
type CurvePoint struct {
	At       time.Time `json:"at"` // by the controller's clock
	Present  int       `json:"present,omitempty"`
	Applied  int       `json:"applied,omitempty"`
	Applying int       `json:"applying,omitempty"` // members that say what they apply: of the others it is not known
	Fetched  int64     `json:"fetched,omitempty"`  // bytes that members had fetched for it by then, as they said before its flip
}

// Counts is how many members the rollout counts.
func (r *RolloutRecord) Counts() int { return max(len(r.Members), r.MemberCount) }

// FailedInSoak tells whether the rollout failed after its flip, and the fleet didn't go back.
func (r *RolloutRecord) FailedInSoak() bool { return r.State == RolloutFailed && !r.FlippedAt.IsZero() }

// RolloutChanged tells of a rollout's new state, or of a decision about its fleet.
type RolloutChanged struct {
	Fleet   string       `json:"fleet"`
	Rollout string       `json:"rollout"`
	Build   string       `json:"build,omitempty"`
	Order   uint64       `json:"order,omitempty"`
	Image   Image        `json:"image,omitempty"`
	State   RolloutState `json:"state"`
	Why     string       `json:"why,omitempty"`
	Epoch   uint64       `json:"epoch,omitempty"` // of the fleet record, when it was changed
	By      string       `json:"by,omitempty"`    // the person, for a person's decision
	Present int          `json:"present,omitempty"`
	Members int          `json:"members,omitempty"`
	To      FleetImage   `json:"to,omitzero"` // what is current now, for a decision that went from Image to another
}

// MessageType is TypeRolloutChanged.
func (*RolloutChanged) MessageType() Type { return TypeRolloutChanged }

func (m *RolloutChanged) tokens() []string { return []string{m.Fleet, m.Rollout} }

// Validate names the first field that can't be acted on.
func (m *RolloutChanged) Validate() error {
	if err := CheckName("fleet", m.Fleet); err != nil {
		return err
	}
	if err := m.Image.check(); err != nil {
		return err
	}
	return CheckID("rollout", m.Rollout)
}
