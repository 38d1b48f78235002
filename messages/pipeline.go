package messages

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pipeline is a resolved pipeline: everything a builder needs to know, so that it needs no
// pipeline file.
type Pipeline struct {
	Name       string            `json:"name"`
	Repository string            `json:"repository"`           // git URL, http, https or git; never with userinfo
	Branch     string            `json:"branch"`               // whose head is built
	Dockerfile string            `json:"dockerfile"`           // path inside Directory
	Directory  string            `json:"directory,omitempty"`  // of the build context inside the repository; "" is its root
	Image      string            `json:"image"`                // repository name that is pushed to, without tag
	Platform   string            `json:"platform,omitempty"`   // such as linux/amd64; "" is the builder's own
	BuildArgs  map[string]string `json:"build_args,omitempty"` // recorded in provenance: never secrets
	HooksDir   string            `json:"hooks_dir"`            // absolute path inside the image
	TokenName  string            `json:"token_name,omitempty"` // name of the secret that reads the repository
	Secrets    []string          `json:"secrets,omitempty"`    // names of secrets that RUN --mount=type=secret may ask for
	Timeout    Duration          `json:"timeout"`              // for the whole solve
	Attempts   int               `json:"attempts"`             // how often a build is tried when infrastructure fails
	Fleets     []FleetTarget     `json:"fleets,omitempty"`     // in order: a fleet waits for the one before it
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
	if p.Dockerfile == "" {
		return fmt.Errorf("dockerfile: is empty: name a path such as %q", "Dockerfile")
	}
	if err := checkHooksDir(p.HooksDir); err != nil {
		return fmt.Errorf("hooks_dir: %w", err)
	}
	if err := p.checkBuild(); err != nil {
		return err
	}
	if p.Timeout <= 0 {
		return fmt.Errorf("timeout: must be more than zero")
	}
	if p.Attempts < 1 {
		return fmt.Errorf("attempts: %d: must be 1 or more", p.Attempts)
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
	// DefaultAttempts is how often a build is tried before its failures count as its own.
	DefaultAttempts = 5
)

// CheckRepository tells whether s is a URL that a builder may clone. Userinfo is refused:
// it would show in provenance and progress.
func CheckRepository(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.HasPrefix(u.Host, "-") || len(s) > 2000 {
		return fmt.Errorf("%q is not a git URL such as %q", clip(redactURL(s)), "https://git.example.com/ops/base.git")
	}
	if u.Scheme == "ssh" {
		return fmt.Errorf("%q is for ssh, which builders don't read: give its https address, and name a token for it", clip(shown(u)))
	}
	if u.User != nil {
		return fmt.Errorf("%q has a user or password in it: put the credential into a secret file and name it", clip(shown(u)))
	}
	switch u.Scheme {
	case "http", "https", "git":
	default:
		return fmt.Errorf("%q has scheme %q: use https, http or git", clip(shown(u)), u.Scheme)
	}
	if !strings.HasSuffix(u.Path, ".git") {
		return fmt.Errorf("%q must end in .git, or BuildKit takes it for a plain download", clip(shown(u)))
	}
	if strings.ContainsAny(s, "?#") {
		return fmt.Errorf("%q has a query or fragment: give the branch and directory in fields of their own", clip(shown(u)))
	}
	return nil
}

// shown is u for an error: without what may be a credential. A user alone may be one, as in
// https://TOKEN@host, except over ssh.
func shown(u *url.URL) string {
	v := *u
	if v.User != nil && (v.Scheme != "ssh" || hasPassword(u)) {
		v.User = url.User("redacted")
	}
	if v.RawQuery != "" {
		v.RawQuery = "redacted"
	}
	if v.Fragment != "" {
		v.Fragment, v.RawFragment = "redacted", ""
	}
	return v.String()
}

func hasPassword(u *url.URL) bool { _, ok := u.User.Password(); return ok }

// redactURL hides what may be userinfo in something that is no URL.
func redactURL(s string) string {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// CheckBranch tells whether s can be a branch, by the rules of git check-ref-format that
// matter for a URL and an argument. It refuses a full ref, which no push would match.
func CheckBranch(s string) error {
	if name, ok := strings.CutPrefix(s, "refs/heads/"); ok && CheckBranch(name) == nil {
		return fmt.Errorf("%q is a full ref: write %s", clip(s), clip(name))
	}
	if strings.HasPrefix(s, "refs/") {
		return fmt.Errorf("%q is no branch: write one's name such as %s", clip(s), DefaultBranch)
	}
	bad := s == "" || s == "@" || len(s) > 200 || !utf8.ValidString(s) || strings.HasPrefix(s, "-") ||
		strings.HasSuffix(s, ".") || strings.Contains(s, "..") || strings.Contains(s, "@{") ||
		strings.ContainsAny(s, " ~^:?*[\\") || strings.ContainsFunc(s, unicode.IsControl)
	for part := range strings.SplitSeq(s, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad {
		return fmt.Errorf("%q is not a branch name such as %q", clip(s), DefaultBranch)
	}
	return nil
}

// checkInside refuses a path that leaves the folder it is relative to.
func checkInside(p string) error {
	if clean := path.Clean(p); path.IsAbs(p) || clean == ".." || strings.HasPrefix(clean, "../") {
		return fmt.Errorf("%q leaves the repository: give a path inside it", clip(p))
	}
	if strings.ContainsAny(p, "#?&") || strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("%q has a character that can't be in a path here", clip(p))
	}
	return nil
}

// checkHooksDir refuses what is not a plain absolute path inside an image.
func checkHooksDir(p string) error {
	if !path.IsAbs(p) || slices.Contains(strings.Split(p, "/"), "..") || strings.ContainsFunc(p, unicode.IsControl) {
		return fmt.Errorf("%q is not an absolute path inside the image such as %q", clip(p), DefaultHooksDir)
	}
	return nil
}

var (
	platformForm = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?$`)
	buildArgForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	networkForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
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
	Keep          int      `json:"keep"`                    // earlier images that nodes keep, besides current and previous
	PreloadBases  bool     `json:"preload_bases,omitempty"` // nodes fetch the pinned bases while the build runs
}

// Trial says how canaries try an image before it is flipped.
type Trial struct {
	Disabled bool     `json:"disabled,omitempty"`
	Timeout  Duration `json:"timeout"`           // for all hooks of one trial together
	Network  string   `json:"network,omitempty"` // Docker network of the trial container; "" is none
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
	case p.Keep < 0:
		return fmt.Errorf("keep: %d: must be 0 or more", p.Keep)
	case p.Trial.Timeout < 0 || p.Trial.Timeout == 0 && !p.Trial.Disabled:
		return fmt.Errorf("trial.timeout: must be more than zero")
	case p.Trial.Network != "" && !networkForm.MatchString(p.Trial.Network):
		return fmt.Errorf("trial.network: %q is not the name of a Docker network", clip(p.Trial.Network))
	}
	last := 0
	for _, w := range p.Waves {
		if w <= last || w > 100 {
			return fmt.Errorf("waves: %v: must be rising percentages that end in 100", p.Waves)
		}
		last = w
	}
	return nil
}
