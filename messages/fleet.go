package messages

import (
	"errors"
	"slices"
	"time"
)

// FleetChanged announces a fleet's record over core NATS. It is a hint: whoever misses it
// reads the record.
type FleetChanged struct {
	Revision uint64      `json:"revision"` // of the record in its bucket
	Record   FleetRecord `json:"record"`
}

// Same tells whether both tell of one state of the record. Revisions alone do not: a bucket that is made anew
// gives them again.
func (m *FleetChanged) Same(o *FleetChanged) bool {
	return m.Revision == o.Revision && m.Record.Decision == o.Record.Decision
}

// MessageType is TypeFleetChanged.
func (*FleetChanged) MessageType() Type  { return TypeFleetChanged }
func (m *FleetChanged) tokens() []string { return []string{m.Record.Fleet} }

// Validate names the first field that can't be acted on.
func (m *FleetChanged) Validate() error {
	if m.Revision == 0 {
		return errors.New("revision: is missing")
	}
	return m.Record.Validate()
}

// FleetRecord is the only point of decision about a fleet, in the fleets bucket under its
// name. Every change is a compare-and-set of the whole record.
type FleetRecord struct {
	Fleet       string       `json:"fleet"`
	ID          string       `json:"id,omitempty"` // random, made with the record: tells fleets of one name apart
	Epoch       uint64       `json:"epoch"`        // rises with every change of Current
	Decision    string       `json:"decision"`     // random, to recognise an own write whose answer was lost
	Current     FleetImage   `json:"current,omitzero"`
	Previous    FleetImage   `json:"previous,omitzero"`
	Keep        []FleetImage `json:"keep,omitempty"` // older ones that nodes keep, newest first
	Preload     *Preload     `json:"preload,omitempty"`
	Bases       *BasePreload `json:"bases,omitempty"`
	Spread      *Spread      `json:"spread,omitempty"` // which nodes may fetch Current yet; nil for all
	Turns       *Turns       `json:"turns,omitempty"`  // which nodes may fetch images now; nil for all
	Highest     uint64       `json:"highest"`          // highest order ever flipped to
	Hold        *Hold        `json:"hold,omitempty"`
	Soaking     string       `json:"soaking,omitempty"` // rollout whose soak stops newer flips, or ""
	Rollout     string       `json:"rollout,omitempty"` // the rollout that moves now, or ""
	Applied     Applied      `json:"applied"`
	Mended      *Mended      `json:"mended,omitempty"`       // what a person last set right in the record itself
	PreloadFrom []string     `json:"preload_from,omitempty"` // as the policy of the newest image has it
	Pull        *Pull        `json:"pull,omitempty"`         // likewise
	Firsts      []First      `json:"firsts,omitempty"`       // of mirrors that have not got an image yet; see First
	Fence       string       `json:"fence,omitempty"`        // Policy.Fence of the newest image that was flipped to
	Decided     *Decided     `json:"decided,omitempty"`
	Released    *Released    `json:"released,omitempty"` // the hold that a person ended last
	// Reference is the form in which the fence config names images; "" is ReferenceDigest. A flip to a
	// newer image than any before brings it.
	Reference Reference `json:"reference,omitempty"`
	// NodeTTL is how long a heartbeat is kept: nodes send theirs more often, and may not ask.
	NodeTTL Duration `json:"node_ttl,omitempty"`
}

// Mended is what a person set right in a fleet's record, beside the decisions.
type Mended struct {
	By   string    `json:"by"`
	At   time.Time `json:"at"`
	What string    `json:"what"`
}

// Decided says who made Current current, and why.
type Decided struct {
	Epoch  uint64    `json:"epoch"` // whose decision it is: of another it says nothing
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at,omitzero"` // by the clock of whoever wrote it; zero where an older version did
}

// Released says who ended a hold, and why.
type Released struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"` // "" where none was given
	At     time.Time `json:"at"`
	Held   time.Time `json:"held"` // since when: of another hold it says nothing
}

// Validate names the first field that a node can't act on.
func (r *FleetRecord) Validate() error {
	if err := CheckName("fleet", r.Fleet); err != nil {
		return err
	}
	for _, i := range r.Wanted() {
		if err := i.check(); err != nil {
			return err
		}
	}
	return nil
}

// Wanted lists every image that nodes must not clean up, current first.
func (r *FleetRecord) Wanted() []Image {
	var out []Image
	add := func(i Image) {
		if i != "" && !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	add(r.Current.Image)
	add(r.Previous.Image)
	for _, k := range r.Keep {
		add(k.Image)
	}
	if r.Preload != nil {
		add(r.Preload.Image)
	}
	if r.Bases != nil {
		for _, i := range r.Bases.Images {
			add(i)
		}
	}
	return out
}

// FleetImage is an image in a fleet's record.
type FleetImage struct {
	Image    Image  `json:"image"`
	Build    string `json:"build,omitempty"`
	Order    uint64 `json:"order,omitempty"`
	Rollout  string `json:"rollout,omitempty"`
	HooksDir string `json:"hooks_dir,omitempty"`
}

// IsZero tells whether there is none.
func (i FleetImage) IsZero() bool { return i.Image == "" }

// Preload says what nodes of a fleet fetch now, and which of them.
type Preload struct {
	FleetImage
	Hooks    []string `json:"hooks,omitempty"`
	Canaries []string `json:"canaries,omitempty"` // fetch first and run the trial
	Trial    Trial    `json:"trial"`
	// Threshold admits the members whose WaveHash is at or below it. It only rises while
	// the preload is the same. Written as a string, as it exceeds what JSON readers hold.
	Threshold uint64 `json:"threshold,string"`
	// Traceparent is the rollout's: what nodes publish about the preload carries it on.
	Traceparent string `json:"traceparent,omitempty"`
	// Traced says which nodes beside the canaries make spans of what they do; see Traces. A string, as Threshold.
	Traced uint64 `json:"traced,string,omitempty"`
}

// BasePreload lets nodes fetch a build's base images while the build still runs.
type BasePreload struct {
	Build     string  `json:"build"`
	Images    []Image `json:"images"`
	Threshold uint64  `json:"threshold,string"` // as Preload.Threshold, hashed with the build ID
	// Refused are those that nodes may not fetch, with the reasons.
	Refused []ImageProblem `json:"refused,omitempty"`
}

// Spread goes on with a rollout's waves after its flip: the nodes that have not been admitted don't
// fetch the current image yet.
type Spread struct {
	Rollout   string `json:"rollout"`          // that Threshold is hashed with
	Threshold uint64 `json:"threshold,string"` // as Preload.Threshold
}

// Admits tells whether a node may fetch the current image.
func (s *Spread) Admits(node string) bool {
	return s == nil || s.Threshold > 0 && WaveHash(s.Rollout, node) <= s.Threshold
}

// Turns holds a fleet to the number of nodes that fetch at one time, whichever image they lack.
type Turns struct {
	Nodes []string `json:"nodes"` // those whose turn it is, sorted
}

// Admits tells whether it is a node's turn.
func (t *Turns) Admits(node string) bool { return t == nil || slices.Contains(t.Nodes, node) }

// First is the one node behind a mirror that fetches an image for now, so that the mirror fetches it once; the others wait
// until it has it.
type First struct {
	Mirror string `json:"mirror"`
	Image  Image  `json:"image"`
	Node   string `json:"node"`
}

// HeldBack tells whether a node waits with an image for the first one behind its mirror.
func (r *FleetRecord) HeldBack(node, mirror string, image Image) bool {
	return mirror != "" && slices.ContainsFunc(r.Firsts, func(f First) bool {
		return f.Mirror == mirror && f.Image == image && f.Node != node
	})
}

// Hold stops flips of a fleet.
type Hold struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Epoch  uint64    `json:"epoch,omitempty"` // of the rollback that set it; 0 for any other hold
}

// Applied says what the fence config was last seen to hold.
type Applied struct {
	Epoch uint64 `json:"epoch"`           // whose image the backend was driven to and read back
	Value string `json:"value,omitempty"` // as read back
	Error string `json:"error,omitempty"` // why it could not be written or read
	// Store is the kind of fence config that this is about; "" is FenceNATS.
	Store string `json:"store,omitempty"`
	// ByHand tells that a person set the value through a controller, so that it is theirs even where an
	// earlier decision was for it.
	ByHand bool `json:"by_hand,omitempty"`
}
