package trace

import (
	"time"

	"github.com/fenceline/fenceline/messages"
)

// Chain is all that the records have of what was asked about.
type Chain struct {
	Asked  string   `json:"asked"`            // the word of the command line
	Kind   string   `json:"kind"`             // what it means: commit, image, base, build or node
	Value  string   `json:"value"`            // that in full
	Node   *Node    `json:"node,omitempty"`   // of a node
	Builds []Build  `json:"builds"`           // the newest first
	More   int      `json:"more,omitempty"`   // how many older builds there are beside them
	Gone   []string `json:"gone,omitempty"`   // what the records no longer have, and why
	Broken []string `json:"broken,omitempty"` // records that can't be read
}

// Build is a build, with what led to it and what became of it.
type Build struct {
	Build     string                `json:"build"`
	Pipeline  string                `json:"pipeline"`
	Order     uint64                `json:"order,omitempty"`
	State     string                `json:"state"` // of its record; queued where nobody has claimed it, gone where its record is
	Commit    string                `json:"commit,omitempty"`
	Ref       string                `json:"ref,omitempty"`
	By        string                `json:"requested_by,omitempty"` // who pushed, or asked for it
	Reason    *messages.Reason      `json:"reason,omitempty"`       // why it was built
	Matched   string                `json:"matched,omitempty"`      // what in the pipeline took the push
	Received  time.Time             `json:"received,omitzero"`
	Ended     time.Time             `json:"ended,omitzero"`
	Trace     string                `json:"trace,omitempty"`  // the ID of its trace
	Worker    string                `json:"worker,omitempty"` // the builder that had it last
	Attempts  int                   `json:"attempts,omitempty"`
	LastError string                `json:"last_error,omitempty"` // of the last attempt that infrastructure failed
	Unchanged string                `json:"unchanged,omitempty"`  // why nothing was built
	Bases     []messages.PinnedBase `json:"bases,omitempty"`
	Failure   *messages.Failure     `json:"failure,omitempty"`  // with the findings that refused it
	Warnings  []messages.Finding    `json:"warnings,omitempty"` // of an image that passed
	Head      string                `json:"head,omitempty"`     // the commit that superseded it
	Follows   string                `json:"followed_by,omitempty"`
	Image     messages.Image        `json:"image,omitempty"`
	Tag       string                `json:"tag,omitempty"`
	Bytes     int64                 `json:"bytes,omitempty"` // compressed size of the layers
	Since     *Change               `json:"since_previous,omitempty"`
	Rollouts  []Rollout             `json:"rollouts,omitempty"` // by fleet
}

// Change is how an image differs from the one that its pipeline made before.
type Change struct {
	Build string         `json:"build"`
	Image messages.Image `json:"image"`
	Bytes int64          `json:"bytes"` // how much larger it is; negative where it is smaller
	Bases []BaseChange   `json:"bases,omitempty"`
}

// BaseChange is a base that is another image than before.
type BaseChange struct {
	Source string         `json:"source"`
	From   messages.Image `json:"from,omitempty"` // "" where it is a new one
	To     messages.Image `json:"to,omitempty"`   // "" where it is one no more
}

// Rollout is what became of an image in one fleet.
type Rollout struct {
	ID       string                          `json:"id"`
	Fleet    string                          `json:"fleet"`
	State    messages.RolloutState           `json:"state"`
	Why      string                          `json:"why,omitempty"`
	Opened   time.Time                       `json:"opened,omitzero"`
	Flipped  time.Time                       `json:"flipped,omitzero"`
	Updated  time.Time                       `json:"updated,omitzero"`
	Approved string                          `json:"approved,omitempty"` // by whom
	Because  string                          `json:"approved_why,omitempty"`
	Aborted  string                          `json:"aborted,omitempty"` // by whom
	Stopped  string                          `json:"aborted_why,omitempty"`
	Members  int                             `json:"members"`
	Present  int                             `json:"present"`            // members that had the image when that was last written
	Failed   map[string]string               `json:"failed,omitempty"`   // node to reason, the first ones
	Trials   map[string]messages.TrialResult `json:"trials,omitempty"`   // canary to verdict
	Receipts []Receipt                       `json:"receipts,omitempty"` // what nodes and controllers told of it, with times, oldest first
	Earlier  int                             `json:"earlier_receipts,omitempty"`
	Current  []Decision                      `json:"current,omitempty"` // when it was made current, oldest first
	Now      bool                            `json:"now,omitempty"`     // it is current now
	Nodes    *Nodes                          `json:"nodes,omitempty"`   // of the image that is current
}

// Receipt is something that was told of a rollout.
type Receipt struct {
	At   time.Time `json:"at"`             // by the clock of NATS
	Node string    `json:"node,omitempty"` // "" for the controller
	What string    `json:"what"`
	Why  string    `json:"why,omitempty"`
}

// Decision is a change of the fence config to the image.
type Decision struct {
	At       time.Time `json:"at"`
	Epoch    uint64    `json:"epoch,omitempty"` // of the fleet's record; 0 where it isn't known
	Revision string    `json:"revision"`        // of the fence config
	Value    string    `json:"value"`
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
}

// Nodes is what a fleet's nodes have done with its current image.
type Nodes struct {
	Members int            `json:"members"` // nodes that are heard now
	Holding int            `json:"holding"` // of them those that have the image
	Applied map[string]int `json:"applied,omitempty"`
	Old     []Old          `json:"old_containers,omitempty"` // the first of OldCount
	OldSum  int            `json:"old_containers_count,omitempty"`
	OldOn   int            `json:"old_nodes,omitempty"`
	List    []Node         `json:"list,omitempty"` // those that lack something, and with --all every one
	Unsaid  int            `json:"unlisted,omitempty"`
}

// Old is a container that runs another image than the current one.
type Old = messages.ContainerUse

// Node is what a node last said.
type Node struct {
	Fleet   string                `json:"fleet"`
	Node    string                `json:"node"`
	Heard   bool                  `json:"heard"`             // its heartbeat has not expired
	Holds   []messages.Image      `json:"holds,omitempty"`   // images that its engine has
	Lacks   string                `json:"lacks,omitempty"`   // why it lacks the current image
	Applied *messages.NodeApplied `json:"applied,omitempty"` // nil where it applies nothing
	Old     []Old                 `json:"old_containers,omitempty"`
}
