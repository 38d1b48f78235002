package messages

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// BuildState is how far a build is.
type BuildState string

// The states of a build. All but BuildStateRunning are final.
const (
	BuildStateRunning    BuildState = "running"
	BuildStateSucceeded  BuildState = "succeeded"
	BuildStateFailed     BuildState = "failed"
	BuildStateSuperseded BuildState = "superseded"
	BuildStateCancelled  BuildState = "cancelled"
)

// BuildRecord is the state of a build, in the builds bucket under its ID. It is written
// first by the worker that claims the request, and changed only by revision.
type BuildRecord struct {
	BuildRef
	State     BuildState `json:"state"`
	Attempt   int        `json:"attempt"`          // the number of claims so far
	Worker    string     `json:"worker,omitempty"` // who claimed it last
	Claim     string     `json:"claim,omitempty"`  // random, to recognise an own write whose answer was lost
	Request   uint64     `json:"request"`          // sequence of the request in its stream
	Commit    string     `json:"commit,omitempty"`
	Ref       string     `json:"ref,omitempty"`
	Image     Image      `json:"image,omitempty"`
	Tag       string     `json:"tag,omitempty"`
	Failure   *Failure   `json:"failure,omitempty"`
	LastError string     `json:"last_error,omitempty"` // of the last attempt that infrastructure failed
	Received  time.Time  `json:"received"`
	Updated   time.Time  `json:"updated"`
	// Outcome is the exact message that ends the build, kept before it is published, so
	// that whoever finds the record can finish the announcement.
	Outcome *Message `json:"outcome,omitempty"`
	// Announced is set once Outcome is known to be stored in the events stream.
	Announced bool `json:"announced,omitempty"`
	// Asked is the request as it was accepted, so that it can be asked for again when its
	// stream has been cleared.
	Asked *Message `json:"asked,omitempty"`
	// Returned counts the claims that ended because the worker was stopped. They are not
	// failures, and don't count against the attempts allowed.
	Returned int `json:"returned,omitempty"`
}

// Ended tells whether the build is over.
func (r *BuildRecord) Ended() bool { return r.State != BuildStateRunning && r.State != "" }

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
	ID        string                 `json:"id"`
	Fleet     string                 `json:"fleet"`
	After     string                 `json:"after,omitempty"` // fleet whose rollout of this build must be done first
	Ready     ImageReady             `json:"ready"`
	Policy    Policy                 `json:"policy"`
	Members   []string               `json:"members,omitempty"`  // frozen when preloading began, sorted
	Canaries  []string               `json:"canaries,omitempty"` // those of Members that try the image
	State     RolloutState           `json:"state"`
	Why       string                 `json:"why,omitempty"` // why it waits or ended, for people
	Wave      int                    `json:"wave,omitempty"`
	Admitted  int                    `json:"admitted,omitempty"` // members below the threshold
	Present   int                    `json:"present,omitempty"`
	Failed    map[string]string      `json:"failed,omitempty"`   // node to reason, the first of FailedCount
	Trials    map[string]TrialResult `json:"trials,omitempty"`   // canary to result
	Approved  string                 `json:"approved,omitempty"` // by whom
	Aborted   string                 `json:"aborted,omitempty"`  // by whom, asked for
	Stale     []ContainerUse         `json:"stale,omitempty"`    // containers that still ran another image when it was done, the first of StaleCount
	Opened    time.Time              `json:"opened"`
	FlippedAt time.Time              `json:"flipped_at,omitzero"`
	Updated   time.Time              `json:"updated"`
	// Traceparent is that of the image-ready event that opened it: what the rollout publishes, and its
	// nodes do, carries it on.
	Traceparent string `json:"traceparent,omitempty"`
	// FailedCount and StaleCount are how many there are, as Failed and Stale name only so
	// many as fit a record; StaleNodes is how many nodes ran those containers.
	FailedCount int `json:"failed_count,omitempty"`
	StaleCount  int `json:"stale_count,omitempty"`
	StaleNodes  int `json:"stale_nodes,omitempty"`
}

// FailedInSoak tells whether the rollout failed after its flip, and the fleet didn't go back.
func (r *RolloutRecord) FailedInSoak() bool { return r.State == RolloutFailed && !r.FlippedAt.IsZero() }

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
}

// BasePreload lets nodes fetch a build's base images while the build still runs.
type BasePreload struct {
	Build     string  `json:"build"`
	Images    []Image `json:"images"`
	Threshold uint64  `json:"threshold,string"` // as Preload.Threshold, hashed with the build ID
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
}

// FleetRecord is the only point of decision about a fleet, in the fleets bucket under its
// name. Every change is a compare-and-set of the whole record.
type FleetRecord struct {
	Fleet    string       `json:"fleet"`
	ID       string       `json:"id,omitempty"` // random, made with the record: tells fleets of one name apart
	Epoch    uint64       `json:"epoch"`        // rises with every change of Current
	Decision string       `json:"decision"`     // random, to recognise an own write whose answer was lost
	Current  FleetImage   `json:"current,omitzero"`
	Previous FleetImage   `json:"previous,omitzero"`
	Keep     []FleetImage `json:"keep,omitempty"` // older ones that nodes keep, newest first
	Preload  *Preload     `json:"preload,omitempty"`
	Bases    *BasePreload `json:"bases,omitempty"`
	Highest  uint64       `json:"highest"` // highest order ever flipped to
	Hold     *Hold        `json:"hold,omitempty"`
	Soaking  string       `json:"soaking,omitempty"` // rollout whose soak stops newer flips, or ""
	Rollout  string       `json:"rollout,omitempty"` // the rollout that moves now, or ""
	Applied  Applied      `json:"applied"`
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

// WaveHash places a node within a rollout: a member is admitted when its hash is at or
// below the threshold. The first 8 bytes of SHA-256 over "ROLLOUT\x00NODE", big-endian.
func WaveHash(rollout, node string) uint64 {
	sum := sha256.Sum256([]byte(rollout + "\x00" + node))
	return binary.BigEndian.Uint64(sum[:8])
}

// WaveThreshold is the threshold that admits exactly k of the nodes: the k-th smallest
// hash. It is 0, which admits none, for k below 1, and admits all for k of len(nodes) and more.
func WaveThreshold(rollout string, nodes []string, k int) uint64 {
	if k < 1 || len(nodes) == 0 {
		return 0
	}
	hashes := make([]uint64, len(nodes))
	for i, n := range nodes {
		hashes[i] = WaveHash(rollout, n)
	}
	slices.Sort(hashes)
	return hashes[min(k, len(hashes))-1]
}

// Member is a node that belongs to a fleet, in the members bucket under NodeKey, from its
// first heartbeat until an operator retires it.
type Member struct {
	Fleet  string    `json:"fleet"`
	Node   string    `json:"node"`
	Joined time.Time `json:"joined"` // by the controller's clock
}

// NodeStatus is a node's heartbeat, in the nodes bucket under NodeKey.
type NodeStatus struct {
	Fleet      string            `json:"fleet"`
	Node       string            `json:"node"`
	Instance   string            `json:"instance"` // random for each start of the distributor; two at once are two nodes with one name
	Beat       uint64            `json:"beat"`     // counts from 1 with each start
	Interval   Duration          `json:"interval"` // between heartbeats when nothing changes
	Version    string            `json:"version"`  // of fenceline
	Labels     map[string]string `json:"labels,omitempty"`
	Engine     Engine            `json:"engine"`
	FreeBytes  int64             `json:"free_bytes"`       // where the engine keeps images; -1 unknown
	Images     []PresentImage    `json:"images,omitempty"` // those of the record that are present, as checked now
	Revision   uint64            `json:"revision"`         // of the fleet record it acts on
	Work       *NodeWork         `json:"work,omitempty"`   // what it does about the preload
	Containers []ContainerUse    `json:"containers,omitempty"`
	Twin       bool              `json:"twin,omitempty"` // another distributor sends heartbeats under this name too
	At         time.Time         `json:"at,omitzero"`    // by the node's clock, for people: how far it is off; decides nothing
}

// Engine is a node's container engine.
type Engine struct {
	Name    string `json:"name"` // "docker"
	Version string `json:"version"`
	API     string `json:"api"`
	Error   string `json:"error,omitempty"` // why it can't be reached now
}

// PresentImage is an image that a node's engine has, complete.
type PresentImage struct {
	Image Image  `json:"image"`
	ID    string `json:"id"`    // the engine's image ID
	Local string `json:"local"` // the local tag that keeps it from a prune
}

// NodeWork is what a node does about the current preload.
type NodeWork struct {
	Rollout string       `json:"rollout"`
	Image   Image        `json:"image"`
	State   WorkState    `json:"state"`
	Reason  string       `json:"reason,omitempty"` // for WorkFailed
	Bytes   int64        `json:"bytes,omitempty"`  // fetched for it
	Trial   *TrialResult `json:"trial,omitempty"`  // of a canary
}

// WorkState is how far a node's work is.
type WorkState string

// The states of a node's work.
const (
	WorkPulling WorkState = "pulling"
	WorkPresent WorkState = "present"
	WorkTrial   WorkState = "trial"
	WorkDone    WorkState = "done"
	WorkFailed  WorkState = "failed"
)

// ContainerUse is a running container and the image it runs.
type ContainerUse struct {
	Node      string `json:"node,omitempty"`
	Container string `json:"container"` // name
	Image     string `json:"image"`     // as the container was started from
}
