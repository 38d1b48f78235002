package messages

import (
	"maps"
	"slices"
	"time"
)

// Member is a node that belongs to a fleet, in the members bucket under NodeKey, from its
// first heartbeat until an operator retires it.
type Member struct {
	Fleet  string    `json:"fleet"`
	Node   string    `json:"node"`
	Joined time.Time `json:"joined"` // by the controller's clock
	// Silent tells that the node was not heard for SilentAfter when this was written, nor since: a
	// controller notes it, for people. The record's own time says when.
	Silent bool `json:"silent,omitempty"`
}

// SilentAfter is how long a node is not heard before its member's record says so.
const SilentAfter = time.Minute

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
	FreeBytes  int64             `json:"free_bytes"`         // where the engine keeps images; -1 unknown
	Images     []PresentImage    `json:"images,omitempty"`   // those of the record that are present, as checked now
	Revision   uint64            `json:"revision"`           // of the fleet record it acts on
	Work       *NodeWork         `json:"work,omitempty"`     // what it does about the preload
	Fetching   *ImageFetch       `json:"fetching,omitempty"` // what it fetches now, for whatever reason
	Problems   []ImageProblem    `json:"problems,omitempty"` // of the images that the record wants, why some are not there
	Mirror     string            `json:"mirror,omitempty"`   // that it fetches from first and shares with other nodes
	Troubles   []MirrorTrouble   `json:"troubles,omitempty"` // of mirrors that failed when it asked them last
	Containers []ContainerUse    `json:"containers,omitempty"`
	Applied    *NodeApplied      `json:"applied,omitempty"` // what it has done with the current image where its own software reads it; nil where it applies nothing, and of older nodes
	Twin       bool              `json:"twin,omitempty"`    // another distributor sends heartbeats under this name too
	At         time.Time         `json:"at,omitzero"`       // by the node's clock, for people: how far it is off; decides nothing
	// Ledger lists what agents of whichever fleet brought or tagged that is on the engine, the newest
	// first; LedgerMore is how many there are beside those that it names.
	Ledger     []LedgerEntry `json:"ledger,omitempty"`
	LedgerMore int           `json:"ledger_more,omitempty"`
	// MinFreeBytes is what pulls leave free of FreeBytes; 0 of older nodes, which don't say it.
	MinFreeBytes int64 `json:"min_free_bytes,omitempty"`
}

// LedgerEntry is an image on a node's engine that fenceline brought, or tagged.
type LedgerEntry struct {
	Image Image     `json:"image,omitempty"`
	Fleet string    `json:"fleet"`        // for which
	ID    string    `json:"id,omitempty"` // of that fleet's record, as in the tag
	Tag   string    `json:"tag,omitempty"`
	Found bool      `json:"found,omitempty"` // it was there already: the tag alone is fenceline's
	At    time.Time `json:"at,omitzero"`     // when it was fetched or found, by the node's clock; zero where the ledger doesn't say
	Why   string    `json:"why,omitempty"`
}

// Engine is a node's container engine.
type Engine struct {
	Name    string `json:"name"` // "docker"
	Version string `json:"version"`
	API     string `json:"api"`
	ID      string `json:"id,omitempty"`    // the engine's own, by which one that goes by several nodes' names is noticed
	Error   string `json:"error,omitempty"` // why it can't be reached now
}

// PresentImage is an image that a node's engine has, complete.
type PresentImage struct {
	Image Image  `json:"image"`
	ID    string `json:"id"`    // the engine's image ID
	Local string `json:"local"` // the local tag that keeps it from a prune
	// LocalOnly tells that the engine starts containers of it by its local tag alone: one before Docker 1.10 knows no digests.
	LocalOnly bool `json:"local_only,omitempty"`
}

// ImageFetch is how far a node is with an image that it fetches.
type ImageFetch struct {
	Image Image  `json:"image"`
	Bytes int64  `json:"bytes"`           // fetched
	Total int64  `json:"total,omitempty"` // bytes of the layers that the node lacks, as far as their sizes are known; 0 where none is
	Layer string `json:"layer,omitempty"` // the beginning of the ID or digest of the one that moved last
	Rate  int64  `json:"rate,omitempty"`  // bytes a second, of late
	From  string `json:"from,omitempty"`  // the mirror or registry, where the node and not its engine fetches
}

// MirrorTrouble is how a mirror failed.
type MirrorTrouble struct {
	Mirror string `json:"mirror"` // its address
	Reason string `json:"reason"`
}

// ImageProblem is why a node lacks an image that its fleet's record wants.
type ImageProblem struct {
	Image  Image  `json:"image"`
	Reason string `json:"reason"`
}

// NodeWork is what a node does about the current preload.
type NodeWork struct {
	Rollout string       `json:"rollout"`
	Image   Image        `json:"image"`
	State   WorkState    `json:"state"`
	Reason  string       `json:"reason,omitempty"` // for WorkFailed
	Bytes   int64        `json:"bytes,omitempty"`  // fetched for it
	Trial   *TrialResult `json:"trial,omitempty"`  // of a canary
	// Unusable tells of WorkFailed that the image is why: the node's engine can't take it in, and trying
	// again can't help.
	Unusable bool `json:"unusable,omitempty"`
}

// SharedEngines finds nodes that have one engine, by its ID: of heartbeats by node it returns, for
// each node that must not count, the one that counts for their engine: the first by name.
func SharedEngines(all map[string]*NodeStatus) map[string]string {
	first, out := map[string]string{}, map[string]string{}
	for _, node := range slices.Sorted(maps.Keys(all)) {
		id := all[node].Engine.ID
		if id == "" {
			continue
		}
		if owner, known := first[id]; known {
			out[node] = owner
		} else {
			first[id] = node
		}
	}
	return out
}

// WorkState is how far a node's work is.
type WorkState string

// The states of a node's work.
const (
	WorkWaiting WorkState = "waiting" // for its turn
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

// TrialResult is how a trial ended.
type TrialResult struct {
	Passed bool      `json:"passed"`
	Hooks  []HookRun `json:"hooks,omitempty"`  // those that ran, in order; the last may have failed
	Reason string    `json:"reason,omitempty"` // why it did not pass
}

// HookRun is one admin hook's run in a trial.
type HookRun struct {
	Hook   string `json:"hook"`
	Exit   int    `json:"exit"`             // exit status; -1 when it did not end
	Output string `json:"output,omitempty"` // the last lines
}

// NodeApplied is how far a node is with the fleet's current image where its own software reads it: a
// file is written, and a command run after it.
type NodeApplied struct {
	Image    Image      `json:"image,omitempty"`    // the current one; "" where the fleet has none yet
	Revision uint64     `json:"revision,omitempty"` // of the fleet record by which it became current here
	State    ApplyState `json:"state"`
	At       time.Time  `json:"at,omitzero"`      // since when the image is applied, by the node's clock: for people
	Error    string     `json:"error,omitempty"`  // why it is not
	Mended   string     `json:"mended,omitempty"` // what somebody else had put in its place, and was put right
}

// Has tells whether an image is applied.
func (a *NodeApplied) Has(i Image) bool {
	return a != nil && i != "" && a.Image == i && a.State == ApplyDone
}

// ApplyState is how far a node is with applying the current image.
type ApplyState string

// The states of applying.
const (
	ApplyWaiting ApplyState = "waiting" // for the image, or for a first one
	ApplyRunning ApplyState = "running"
	ApplyDone    ApplyState = "applied"
	ApplyFailed  ApplyState = "failed" // and tried again
)

// NodeFailed tells that a node could not do its part of a rollout.
type NodeFailed struct {
	Fleet   string `json:"fleet"`
	Node    string `json:"node"`
	Rollout string `json:"rollout,omitempty"`
	Image   Image  `json:"image,omitempty"`
	Step    string `json:"step"` // what it was doing: "pull", "disk", "verify", "engine", "apply"
	Reason  string `json:"reason"`
}

// MessageType is TypeNodeFailed.
func (*NodeFailed) MessageType() Type { return TypeNodeFailed }

func (m *NodeFailed) tokens() []string { return []string{m.Fleet, m.Node} }

// Validate names the first field that can't be acted on.
func (m *NodeFailed) Validate() error {
	if err := checkNode(m.Fleet, m.Node); err != nil {
		return err
	}
	return m.Image.check()
}

// TrialFinished is a canary's verdict on an image.
type TrialFinished struct {
	Fleet   string `json:"fleet"`
	Node    string `json:"node"`
	Rollout string `json:"rollout"`
	Image   Image  `json:"image"`
	TrialResult
}

// MessageType is TypeTrialFinished.
func (*TrialFinished) MessageType() Type { return TypeTrialFinished }

func (m *TrialFinished) tokens() []string { return []string{m.Fleet, m.Node} }

// Validate names the first field that can't be acted on.
func (m *TrialFinished) Validate() error {
	if err := checkNode(m.Fleet, m.Node); err != nil {
		return err
	}
	if err := m.Image.check(); err != nil {
		return err
	}
	return CheckID("rollout", m.Rollout)
}

func checkNode(fleet, node string) error {
	if err := CheckName("fleet", fleet); err != nil {
		return err
	}
	return CheckName("node", node)
}
