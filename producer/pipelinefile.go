package producer

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"github.com/fenceline/fenceline/yamlfile"
	"go.yaml.in/yaml/v3"
)

// document reads pipeline files, one after the other.
type document struct {
	reader
	load      *loading
	secrets   map[string]*hookSecret // by file name, so that equal names share one
	pipelines []*declared
	names     map[string]spot // by pipeline
	fleets    map[string]spot // by fleet, where it is fed
	fences    map[string]spot // by kind of fence config that holds one image, where a fleet has it
	wrong     []yamlfile.Problem
	warnings  []yamlfile.Problem

	defaults fileDefaults // of the file that is read

	allowances []allowance // of the pipeline that is read

	sinks   []declaredSink
	console string // its address
}

// defaultTimeout bounds a solve where the file says nothing.
const defaultTimeout = messages.Duration(30 * 60e9)

// spot is a line of a file.
type spot struct {
	file string
	line int
}

// spot is where a node is.
func (d *document) spot(n *yaml.Node) spot { return spot{d.File, n.Line} }

// at is a spot as a problem of the file that is read names it.
func (d *document) at(s spot) string {
	if s.file == d.File {
		return fmt.Sprintf("line %d", s.line)
	}
	return fmt.Sprintf("%s:%d", s.file, s.line)
}

func (d *document) read(root *yaml.Node) {
	if d.names == nil {
		d.names, d.fleets, d.fences, d.secrets = map[string]spot{}, map[string]spot{}, map[string]spot{}, map[string]*hookSecret{}
	}
	version := 0
	d.readDefaults(root)
	d.mapping(root, "", []key{
		{"version", "write version: 1 at the top", d.integer(&version, 1, 1)},
		{"defaults", "", d.describeDefaults},
		{"console_url", "", d.consoleAddress},
		{"sinks", "", func(n *yaml.Node, field string) { d.List(n, field, d.sink) }},
		{"pipelines", "list at least one pipeline, each with a name, a repository and an image", func(n *yaml.Node, field string) {
			d.List(n, field, d.pipeline)
			if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
				d.Warn(n, field, "lists no pipeline: nothing will be built")
			}
		}},
	})
}

// pipeline reads one item of pipelines.
func (d *document) pipeline(n *yaml.Node, field string) {
	n = merged(n, d.defaults.of(n), mostNested)
	x := newDeclared()
	p := &x.pipeline
	d.allowances = nil
	before := d.Troubles()
	d.mapping(n, field, d.pipelineKeys(x, n))
	if d.Troubles() > before {
		return
	}
	d.checkAllowances(p)
	if d.fillStatus(x, field); d.Troubles() > before {
		return
	}
	// What no single field shows, and the contract's own word on what was read.
	if err := p.Validate(); err != nil {
		name, text, _ := strings.Cut(err.Error(), ": ")
		if v := value(n, name); v != nil {
			d.Problem(v, join(field, name), "%s", text)
		} else {
			d.Problem(n, field, "%v", err)
		}
		return
	}
	if d.resolveRefs(x, n, field); d.Troubles() > before {
		return
	}
	if value(n, "poll") == nil && x.secret != nil {
		x.poll = defaultPoll
	}
	if d.fillSchedules(x, field); d.Troubles() > before {
		return
	}
	x.node, x.at, x.fleetDefaults = followed(n), d.spot(n), d.defaults.fleet
	x.place = placeOf(p.Repository)
	d.pipelines = append(d.pipelines, x)
}

// newDeclared is a pipeline of which nothing is said.
func newDeclared() *declared {
	return &declared{rebuild: defaultRebuildOn(), pipeline: messages.Pipeline{
		Branch:     messages.DefaultBranch,
		Dockerfile: messages.DefaultDockerfile,
		HooksDir:   messages.DefaultHooksDir,
		Timeout:    defaultTimeout,
		Attempts:   messages.DefaultAttempts,
		RetryFor:   messages.DefaultRetryFor,
		Submodules: messages.SubmodulesAll,
	}}
}

// pipelineKeys are the fields of a pipeline at a node.
func (d *document) pipelineKeys(x *declared, n *yaml.Node) []key {
	p := &x.pipeline
	return []key{
		{"name", "give the pipeline a DNS label such as base-image", d.pipelineName(x, d.spot(n))},
		{"repository", "give the git URL that is built, such as https://git.example.com/ops/base.git", d.text(&p.Repository, messages.CheckRepository)},
		{"branch", "", d.branch(p)},
		{"branches", "", d.refPatterns(&p.Branches, "branch")},
		{"tags", "", d.refPatterns(&p.Tags, "tag")},
		{"paths", "", d.patterns(&x.pathList, checkPathPattern)},
		{"skip_ci", "", d.truth(&x.skipCI)},
		{"concurrency", "", d.concurrency(p)},
		{"cancel_running", "", d.truth(&p.CancelRunning)},
		{"dockerfile", "", d.text(&p.Dockerfile, probe(func(p *messages.Pipeline, s string) { p.Dockerfile = s }))},
		{"directory", "", d.text(&p.Directory, probe(func(p *messages.Pipeline, s string) { p.Directory = s }))},
		{"image", "give the name that is pushed to, such as registry.example.com/exampleco/newimg", d.text(&p.Image, messages.CheckImageName)},
		{"moving_tag", "", d.text(&p.MovingTag, probe(func(p *messages.Pipeline, s string) { p.MovingTag = s }))},
		{"platform", "", d.text(&p.Platform, probe(func(p *messages.Pipeline, s string) { p.Platform = s }))},
		{"build_args", "", d.buildArgs(p)},
		{"hooks_dir", "", d.text(&p.HooksDir, probe(func(p *messages.Pipeline, s string) { p.HooksDir = s }))},
		{"timeout", "", d.duration(&p.Timeout, messages.Duration(1e9))},
		{"attempts", "", d.integer(&p.Attempts, 1, 100)},
		{"retry_for", "", d.duration(&p.RetryFor, messages.Duration(1e9))},
		{"submodules", "", d.text((*string)(&p.Submodules), probe(func(p *messages.Pipeline, s string) { p.Submodules = messages.Submodules(s) }))},
		{"repository_token", "", d.text(&p.TokenName, checkSecretName)},
		{"secrets", "", d.words(&p.Secrets, checkSecretName)},
		{"webhook", "", d.webhook(x)},
		{"poll", "", d.poll(x)},
		{"schedule", "", d.schedules(x)},
		{"rebuild_on", "", d.rebuildOn(x)},
		{"status", "", d.status(x)},
		{"fleets", "", func(n *yaml.Node, field string) {
			d.List(n, field, func(n *yaml.Node, field string) { d.fleet(p, merged(n, d.defaults.fleet, mostNested), field) })
		}},
	}
}

// probe is the contract's own check of one field: that of a pipeline which is valid but for it. Set sets it.
func probe(set func(*messages.Pipeline, string)) func(string) error {
	return func(s string) error {
		p := messages.Pipeline{
			Name: "base", Repository: "https://git.example.com/base.git", Branch: messages.DefaultBranch, Image: "example.com/base",
			Dockerfile: messages.DefaultDockerfile, HooksDir: messages.DefaultHooksDir, Timeout: defaultTimeout, Attempts: 1,
		}
		set(&p, s)
		return unnamed(p.Validate())
	}
}

// probePolicy is probe for a field of a policy.
func probePolicy(set func(*messages.Policy, string)) func(string) error {
	return func(s string) error {
		p := messages.DefaultPolicy()
		set(&p, s)
		return unnamed(p.Validate())
	}
}

// unnamed is an error about a field without the field's name.
func unnamed(err error) error {
	if err == nil {
		return nil
	}
	if _, text, ok := strings.Cut(err.Error(), ": "); ok {
		return errors.New(text)
	}
	return err
}

// value is the value of a field of a mapping, or nil.
func value(n *yaml.Node, name string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// branch reads the branch that is built.
func (d *document) branch(p *messages.Pipeline) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		branch, written := p.Branch, ""
		d.text(&written, func(s string) (err error) {
			if branch, err = messages.WrittenBranch(s); err != nil && messages.IsPattern(s) && messages.CheckRefPattern("branch", s) == nil {
				err = fmt.Errorf("%q is a pattern, and this is one branch: write branches: [%q]", clip(s), clip(s))
			}
			return err
		})(n, field)
		p.Branch = branch
	}
}

// concurrency reads what becomes of a branch's builds when it is pushed to again. What it is by default is not written.
func (d *document) concurrency(p *messages.Pipeline) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		written := ""
		d.text(&written, func(s string) error {
			if known := messages.Concurrencies(); !slices.Contains(known, s) {
				return fmt.Errorf("%q is none of %s%s", clip(s), strings.Join(known, ", "), suggest.DidYouMean(s, known))
			}
			return nil
		})(n, field)
		if p.Concurrency = written; written == messages.ConcurrencyLatest {
			p.Concurrency = ""
		}
	}
}

func (d *document) pipelineName(x *declared, at spot) func(*yaml.Node, string) {
	return d.text(&x.pipeline.Name, func(s string) error {
		if err := messages.CheckName("pipeline", s); err != nil {
			return err
		}
		if taken, ok := d.names[s]; ok {
			return fmt.Errorf("pipeline name %q is taken by the pipeline at %s: give each its own", s, d.at(taken))
		}
		d.names[s] = at
		return nil
	})
}

var (
	argNameForm   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	argSecretForm = regexp.MustCompile(`(?i)(passw|secret|token|credential|private_?key|api_?key)`)
)

// checkPasted refuses what people paste in place of a secret's name or file.
func checkPasted(s string) error {
	for _, prefix := range []string{"ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "whsec_"} {
		if strings.HasPrefix(s, prefix) {
			return errors.New("looks like a secret itself: put it into a file and give the file's name here")
		}
	}
	return nil
}

// checkSecretName tells whether s can name a file in the folder of secrets. Its errors
// leave s out: it may be the secret itself.
func checkSecretName(s string) error {
	if err := checkPasted(s); err != nil {
		return err
	}
	if messages.CheckSecretName(s) != nil {
		return errors.New("is not the name of a secret: give the name of a file in the folder of secrets (secrets-dir): letters, digits, _ . and -, at most 63")
	}
	return nil
}

// buildArgs reads names and values. Values are taken as they are written, whatever YAML
// makes of 1.0 or yes.
func (d *document) buildArgs(p *messages.Pipeline) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		args := map[string]string{}
		d.Pairs(n, field, func(name string, k, v *yaml.Node) {
			if !argNameForm.MatchString(name) {
				d.Problem(k, field, "%q is not the name of a build argument: use letters, digits and _", clip(name))
				return
			}
			if name == "BUILDKIT_SYNTAX" {
				d.Problem(k, field, "BUILDKIT_SYNTAX would replace the Dockerfile frontend: remove it")
				return
			}
			if argSecretForm.MatchString(name) {
				d.Warn(k, join(field, name), "build arguments are recorded in the image's provenance: if it is a secret, list it under secrets and use RUN --mount=type=secret,id=%s", name)
			}
			if v, ok := d.Scalar(v, join(field, name), "text", "!!str", "!!int", "!!float", "!!bool", "!!timestamp"); ok {
				args[name] = v.Value
				d.warnOfVariable(v, join(field, name))
			}
		})
		if len(args) > 0 {
			p.BuildArgs = args
		}
	}
}

// defaultPoll is how often the repository of a pipeline that takes webhooks is looked at where the file says nothing.
const (
	defaultPoll = messages.Duration(15 * time.Minute)
	leastPoll   = messages.Duration(10 * time.Second)
)

// poll reads how often the repository is looked at; 0s for never.
func (d *document) poll(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		before := d.Troubles()
		d.duration(&x.poll, 0)(n, field)
		if d.Troubles() == before && x.poll != 0 && x.poll < leastPoll {
			d.Problem(n, field, "%s is too often for the repository's host: write %s or more, or 0s for never", x.poll, leastPoll)
		}
	}
}

// webhook reads whose webhooks are accepted, and the file that has their secret.
func (d *document) webhook(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		d.mapping(n, field, []key{
			{"secret_file", "name a file with the webhook's secret (make one: openssl rand -hex 32)", d.secretFile(x)},
			{"forges", "", d.forges(x)},
		})
		if x.forges == nil {
			x.forges = forgeNames()
		}
	}
}

func (d *document) forges(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		before := d.Troubles()
		d.words(&x.forges, func(s string) error {
			if other, ok := otherForgeCalled(s); ok {
				return errors.New(other)
			}
			if known := forgeNames(); !slices.Contains(known, s) {
				return fmt.Errorf("%q is not a forge%s (known: %s)", clip(s), suggest.DidYouMean(s, known), strings.Join(known, ", "))
			}
			return nil
		})(n, field)
		if x.forges == nil && d.Troubles() == before {
			d.Problem(n, field, "lists no forge: name some, or leave it out to accept all")
		}
	}
}

func (d *document) secretFile(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		if s := d.readSecret(n, field, "the forge"); s != nil {
			x.secret = s
		}
	}
}

// readSecret reads the file with a secret that this and another program have; nil where it can't be read, or nothing is.
func (d *document) readSecret(n *yaml.Node, field, other string) *hookSecret {
	var name string
	d.text(&name, func(s string) error {
		if s == "" {
			return errors.New("is empty: name a file with the secret")
		}
		return checkPasted(s)
	})(n, field)
	if name == "" {
		return nil
	}
	if s, ok := d.secrets[name]; ok {
		return s
	}
	s, exposed, err := d.load.secret(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		before := len(d.Problems)
		d.Problem(n, field, "secret file %q does not exist: make it with (umask 077; openssl rand -hex 32 > FILE) and give %s the same secret; relative names count from the folder of this file", clip(name), other)
		if len(d.Problems) > before {
			d.Problems[before].Absent = true
		}
		return nil
	case err != nil:
		d.Problem(n, field, "secret file %q: %v", clip(name), err)
		return nil
	}
	if exposed {
		d.Warn(n, field, "secret file %q can be read by every user of this machine: chmod 600 it", clip(name))
	}
	if least := s.shortest(); least < guessable {
		d.Warn(n, field, "the secret in %q has %d characters and can be guessed: use at least 16 (openssl rand -hex 32)", clip(name), least)
	}
	d.secrets[name] = s
	return s
}
