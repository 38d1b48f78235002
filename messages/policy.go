package messages

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Policy says how an image passes through a fleet. Percentages are of the members frozen
// when the rollout opened.
type Policy struct {
	Canaries      int      `json:"canaries"`                // nodes that preload first and run the trial; 0 for none
	Waves         []int    `json:"waves"`                   // percent of the members, rising, the last 100
	MaxInFlight   int      `json:"max_in_flight,omitempty"` // nodes that preload at one time; 0 for no bound
	QuorumPercent int      `json:"quorum_percent"`          // 1 to 100, of the members, that must be present
	QuorumFloor   int      `json:"quorum_floor"`            // nodes that must be present, however few the members
	NodeDeadline  Duration `json:"node_deadline"`           // without progress of a node's preload, then it counts as failed
	Trial         Trial    `json:"trial"`
	Approval      bool     `json:"approval,omitempty"`      // wait for a person before the flip
	Soak          Duration `json:"soak"`                    // watch after the flip; failures roll back
	SoakGrace     Duration `json:"soak_grace,omitempty"`    // in a soak, how long a node may lack the image, and come no further with fetching it, until it counts as failed; 0 for SoakGraceBeats
	SoakFailures  *int     `json:"soak_failures,omitempty"` // 0 to 100 percent of the members, rounded down, that may fail in a soak without a rollback; nil for DefaultSoakFailures
	Keep          int      `json:"keep"`                    // earlier images that nodes keep, besides current and previous
	PreloadBases  bool     `json:"preload_bases,omitempty"` // nodes fetch the pinned bases while the build runs
	PreloadFrom   []string `json:"preload_from,omitempty"`  // registries and repositories that nodes may fetch from, bases too; none is all
	Pull          *Pull    `json:"pull,omitempty"`          // how nodes fetch images; nil is by their engines
	Fence         string   `json:"fence,omitempty"`         // of FenceKinds: where the fleet's fence config lives from the flip on; "" for where the controllers are told
	// Reference is the form in which the fence config names the fleet's images from this rollout's flip
	// on; "" is ReferenceDigest.
	Reference Reference `json:"reference,omitempty"`
	// Apply makes a rollout done only where so many nodes have applied its image; nil asks for nothing.
	Apply *ApplyPolicy `json:"apply,omitempty"`
}

// ApplyPolicy says how many nodes must have applied a rollout's image after its flip, and by when: else
// the fleet goes back to the image before.
type ApplyPolicy struct {
	QuorumPercent int      `json:"quorum_percent"` // 1 to 100, of the members; those that don't say what they apply count as not having done so
	Deadline      Duration `json:"deadline"`       // in which the quorum may be missing
}

// The defaults of ApplyPolicy.
const (
	DefaultApplyQuorum   = 100 // percent
	DefaultApplyDeadline = Duration(5 * time.Minute)
)

// Validate names the first field that can't be acted on.
func (a *ApplyPolicy) Validate() error {
	switch {
	case a == nil:
	case a.QuorumPercent < 1 || a.QuorumPercent > 100:
		return fmt.Errorf("apply.quorum: %d: must be 1 to 100", a.QuorumPercent)
	case a.Deadline <= 0:
		return fmt.Errorf("apply.deadline: must be more than zero")
	}
	return nil
}

// Trial says how canaries try an image before it is flipped.
type Trial struct {
	Disabled bool     `json:"disabled,omitempty"`
	Timeout  Duration `json:"timeout"`           // for all hooks of one trial together
	Network  string   `json:"network,omitempty"` // Docker network of the trial container; "" is none
	User     string   `json:"user,omitempty"`    // that the hooks run as, USER or USER:GROUP; "" is HookUser where the image has it, else the image's own
}

// HookUser is the user as whom fence runs an app and its hooks.
const HookUser = "stackato"

// The defaults of a soak.
const (
	SoakGraceBeats      = 6  // of the node's intervals
	DefaultSoakFailures = 10 // percent
)

// Grace is SoakGrace, or its default for a node of an interval.
func (p *Policy) Grace(interval time.Duration) time.Duration {
	return cmp.Or(p.SoakGrace.Std(), SoakGraceBeats*interval)
}

// MayFail is how many of so many members may fail in a soak without a rollback.
func (p *Policy) MayFail(members int) int {
	percent := DefaultSoakFailures
	if p.SoakFailures != nil {
		percent = *p.SoakFailures
	}
	return members * percent / 100
}

// DefaultPolicy is what a fleet gets that says nothing about rollouts: one canary, one
// wave, every member present, a trial of two minutes without a network, no soak.
func DefaultPolicy() Policy {
	return Policy{
		Canaries:      1,
		Waves:         []int{100},
		QuorumPercent: 100,
		QuorumFloor:   1,
		NodeDeadline:  Duration(600e9),
		Trial:         Trial{Timeout: Duration(120e9)},
		Keep:          2,
	}
}

var networkForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

var userForm = longForm(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$`) //nolint:gochecknoglobals // a constant

// Validate names the first field that can't be acted on.
func (p *Policy) Validate() error {
	switch {
	case p.Canaries < 0:
		return fmt.Errorf("canaries: %d: must be 0 or more", p.Canaries)
	case len(p.Waves) == 0 || p.Waves[len(p.Waves)-1] != 100:
		return fmt.Errorf("waves: %v: must be rising percentages that end in 100", p.Waves)
	case p.MaxInFlight < 0:
		return fmt.Errorf("max_in_flight: %d: must be 0 (no bound) or more", p.MaxInFlight)
	case p.QuorumPercent < 1 || p.QuorumPercent > 100:
		return fmt.Errorf("quorum_percent: %d: must be 1 to 100", p.QuorumPercent)
	case p.QuorumFloor < 1:
		return fmt.Errorf("quorum_floor: %d: must be 1 or more", p.QuorumFloor)
	case p.NodeDeadline <= 0:
		return fmt.Errorf("node_deadline: must be more than zero")
	case p.Soak < 0:
		return fmt.Errorf("soak: must not be negative")
	case p.SoakGrace < 0:
		return fmt.Errorf("soak_grace: must not be negative")
	case p.SoakFailures != nil && (*p.SoakFailures < 0 || *p.SoakFailures > 100):
		return fmt.Errorf("soak_failures: %d: must be 0 to 100", *p.SoakFailures)
	case p.Keep < 0:
		return fmt.Errorf("keep: %d: must be 0 or more", p.Keep)
	case p.Reference != "" && !slices.Contains(References, p.Reference):
		return fmt.Errorf("reference: %q: must be digest or local", clip(string(p.Reference)))
	case p.Trial.Timeout < 0 || p.Trial.Timeout == 0 && !p.Trial.Disabled:
		return fmt.Errorf("trial.timeout: must be more than zero")
	case p.Trial.Network != "" && !networkForm.MatchString(p.Trial.Network):
		return fmt.Errorf("trial.network: %q is not the name of a Docker network", clip(p.Trial.Network))
	case p.Trial.User != "" && !userForm().MatchString(p.Trial.User):
		return fmt.Errorf("trial.user: %q is not a user: write USER or USER:GROUP, by name or number", clip(p.Trial.User))
	}
	last := 0
	for _, w := range p.Waves {
		if w <= last || w > 100 {
			return fmt.Errorf("waves: %v: must be rising percentages that end in 100", p.Waves)
		}
		last = w
	}
	if err := p.Apply.Validate(); err != nil {
		return err
	}
	return p.validatePulls()
}

// validatePulls names the first field about fetching that can't be acted on.
func (p *Policy) validatePulls() error {
	for i, entry := range p.PreloadFrom {
		if err := CheckPreloadFrom(entry); err != nil {
			return fmt.Errorf("preload_from[%d]: %w", i, err)
		}
	}
	if p.Pull != nil {
		if err := p.Pull.Validate(); err != nil {
			return fmt.Errorf("pull.%w", err)
		}
	}
	return nil
}
