package messages

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Pipeline is a resolved pipeline: everything a builder needs to know, so that it needs no
// pipeline file.
type Pipeline struct {
	Name       string            `json:"name"`
	Repository string            `json:"repository"`           // git URL, http, https or git; never with userinfo
	Branch     string            `json:"branch"`               // whose head is built; see At
	Branches   []string          `json:"branches,omitempty"`   // patterns of those whose pushes are built, where it isn't Branch alone
	Tags       []string          `json:"tags,omitempty"`       // patterns of tags that are built; see Patterns
	Dockerfile string            `json:"dockerfile"`           // path inside Directory
	Directory  string            `json:"directory,omitempty"`  // of the build context inside the repository; "" is its root
	Image      string            `json:"image"`                // repository name that is pushed to, without tag
	MovingTag  string            `json:"moving_tag,omitempty"` // that names its newest image, for others to build on; "" for none
	Platform   string            `json:"platform,omitempty"`   // such as linux/amd64; "" is the builder's own
	BuildArgs  map[string]string `json:"build_args,omitempty"` // recorded in provenance: never secrets
	HooksDir   string            `json:"hooks_dir"`            // absolute path inside the image
	TokenName  string            `json:"token_name,omitempty"` // name of the secret that reads the repository
	Submodules Submodules        `json:"submodules,omitempty"` // which are fetched; "" is all, as of before there was a choice
	Secrets    []string          `json:"secrets,omitempty"`    // names of secrets that RUN --mount=type=secret may ask for
	Timeout    Duration          `json:"timeout"`              // for the whole solve
	Attempts   int               `json:"attempts"`             // how often a build is tried at most when infrastructure fails; see GivesUp
	RetryFor   Duration          `json:"retry_for,omitempty"`  // how long a build that infrastructure fails is tried again; 0 means DefaultRetryFor
	Fleets     []FleetTarget     `json:"fleets,omitempty"`     // in order: a fleet waits for the one before it

	Concurrency   string `json:"concurrency,omitempty"`    // what becomes of a push that is followed by another: ConcurrencyQueue, or "" as ConcurrencyLatest
	CancelRunning bool   `json:"cancel_running,omitempty"` // a build that runs ends, too, when its branch is pushed to
}

// What becomes of the builds of a branch that is pushed to again.
const (
	ConcurrencyLatest = "latest" // the newest takes the place of those that have not begun
	ConcurrencyQueue  = "queue"  // each is built, one after the other
)

// Concurrencies are the values that a pipeline's concurrency has.
func Concurrencies() []string { return []string{ConcurrencyLatest, ConcurrencyQueue} }

// checkConcurrency leaves what a newer program may say to it.
func (p *Pipeline) checkConcurrency() error {
	if p.CancelRunning && p.Concurrency == ConcurrencyQueue {
		return fmt.Errorf("cancel_running: with concurrency %q each push is built: leave cancel_running out, or write concurrency: %s", ConcurrencyQueue, ConcurrencyLatest)
	}
	return nil
}

// At is the pipeline as a request for a ref has it: its branch is the ref's own, by which builders look for the head. A
// request for no branch keeps the one that the pipeline has.
func (p Pipeline) At(ref string) Pipeline {
	if branch, ok := strings.CutPrefix(ref, BranchRefs); ok {
		p.Branch = branch
	}
	return p
}

// MoreThanOneRef tells whether it builds more than one branch.
func (p *Pipeline) MoreThanOneRef() bool { return len(p.Branches) > 0 || len(p.Tags) > 0 }

// Refs says which branches and tags it builds, for people.
func (p *Pipeline) Refs() string {
	branches, tags := "branches "+strings.Join(p.Branches, ", "), "tags "+strings.Join(p.Tags, ", ")
	switch {
	case !p.MoreThanOneRef():
		return "branch " + p.Branch
	case len(p.Tags) == 0:
		return branches
	case len(p.Branches) == 0:
		return tags
	}
	return branches + " and " + tags
}

// FleetTarget is a fleet that a pipeline feeds, and how.
type FleetTarget struct {
	Fleet  string `json:"fleet"`
	Policy Policy `json:"policy"`
}

// Validate names the first field that can't be acted on.
func (p *Pipeline) Validate() error {
	if err := CheckName("pipeline", p.Name); err != nil {
		return err
	}
	if err := CheckRepository(p.Repository); err != nil {
		return fmt.Errorf("repository: %w", err)
	}
	if err := CheckBranch(p.Branch); err != nil {
		return fmt.Errorf("branch: %w", err)
	}
	if err := CheckImageName(p.Image); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	for _, f := range []struct{ field, value string }{{"dockerfile", p.Dockerfile}, {"directory", p.Directory}} {
		if err := checkInside(f.value); err != nil {
			return fmt.Errorf("%s: %w", f.field, err)
		}
	}
	if p.MovingTag != "" {
		if err := checkTag(p.MovingTag); err != nil {
			return fmt.Errorf("moving_tag: %w", err)
		}
	}
	if p.Dockerfile == "" {
		return fmt.Errorf("dockerfile: is empty: name a path such as %q", "Dockerfile")
	}
	if err := checkHooksDir(p.HooksDir); err != nil {
		return fmt.Errorf("hooks_dir: %w", err)
	}
	if err := p.Submodules.check(); err != nil {
		return fmt.Errorf("submodules: %w", err)
	}
	if err := p.checkBuild(); err != nil {
		return err
	}
	if err := p.checkConcurrency(); err != nil {
		return err
	}
	if p.Timeout <= 0 {
		return fmt.Errorf("timeout: must be more than zero")
	}
	if p.Attempts < 1 {
		return fmt.Errorf("attempts: %d: must be 1 or more", p.Attempts)
	}
	if p.RetryFor < 0 {
		return fmt.Errorf("retry_for: must be more than zero")
	}
	var seen []string
	for i := range p.Fleets {
		f := &p.Fleets[i]
		if err := f.validate(); err != nil {
			return fmt.Errorf("fleets[%d]: %w", i, err)
		}
		if slices.Contains(seen, f.Fleet) {
			return fmt.Errorf("fleets[%d]: fleet %q is named twice", i, f.Fleet)
		}
		seen = append(seen, f.Fleet)
	}
	return nil
}

func (f *FleetTarget) validate() error {
	if err := CheckName("fleet", f.Fleet); err != nil {
		return err
	}
	if err := f.Policy.Validate(); err != nil {
		return fmt.Errorf("fleet %s: %w", f.Fleet, err)
	}
	return nil
}

// The defaults of a pipeline, in the file that declares it.
const (
	// DefaultHooksDir is where Stackato looks for admin hooks inside the image.
	DefaultHooksDir = "/etc/stackato/hooks"
	// DefaultDockerfile is the name that docker build looks for.
	DefaultDockerfile = "Dockerfile"
	// DefaultBranch is git's own default in most forges.
	DefaultBranch = "main"
	// DefaultAttempts is far above what DefaultRetryFor leaves time for: no bound.
	DefaultAttempts = 1_000_000
	// DefaultRetryFor outlasts the restart, and most outages, of a registry or git host.
	DefaultRetryFor = Duration(6 * 3600e9)
)

// RetriesFor is how long a build that infrastructure fails is tried again, from its first failure on.
// Times in which no builder was there don't count.
func (p *Pipeline) RetriesFor() time.Duration { return cmp.Or(p.RetryFor, DefaultRetryFor).Std() }

// GivesUp tells whether a build that infrastructure failed so many times, and for so long, is not tried again. The
// producers that leave out RetryFor write a few attempts into every request, asked for or not: these don't count.
func (p *Pipeline) GivesUp(failures int, failing time.Duration) bool {
	return p.RetryFor != 0 && failures >= p.Attempts || failing >= p.RetriesFor()
}

var (
	platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$`)
	buildArgForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// checkBuild checks what a builder hands on to BuildKit and to its folder of secrets.
func (p *Pipeline) checkBuild() error {
	if p.Platform != "" && !platformForm.MatchString(p.Platform) {
		return fmt.Errorf("platform: %q is not OS/ARCHITECTURE such as %q", clip(p.Platform), "linux/amd64")
	}
	for name := range p.BuildArgs {
		if !buildArgForm.MatchString(name) {
			return fmt.Errorf("build_args: %q is not a name of letters, digits and '_'", clip(name))
		}
		if name == "BUILDKIT_SYNTAX" {
			return fmt.Errorf("build_args: BUILDKIT_SYNTAX would replace the Dockerfile frontend: remove it")
		}
	}
	if p.TokenName != "" {
		if err := CheckSecretName(p.TokenName); err != nil {
			return fmt.Errorf("repository_token: %w", err)
		}
	}
	for _, s := range p.Secrets {
		if err := CheckSecretName(s); err != nil {
			return fmt.Errorf("secrets: %w", err)
		}
	}
	return nil
}
