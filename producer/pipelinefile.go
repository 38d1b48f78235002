package producer

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/suggest"
	"go.yaml.in/yaml/v3"
)

// document reads fenceline.yaml.
type document struct {
	reader
	secret    func(name string) (*hookSecret, bool, error)
	secrets   map[string]*hookSecret // by file name, so that equal names share one
	pipelines []*declared
	names     map[string]int // by pipeline, its line
	fleets    map[string]int // by fleet, the line at which it is fed
	fences    map[string]int // by kind of fence config that holds one image, the line at which a fleet has it

	allowances []allowance // of the pipeline that is read
}

// defaultTimeout bounds a solve where the file says nothing.
const defaultTimeout = messages.Duration(30 * 60e9)

func (d *document) read(root *yaml.Node) {
	d.names, d.fleets, d.fences = map[string]int{}, map[string]int{}, map[string]int{}
	version := 0
	d.mapping(root, "", []key{
		{"version", "write version: 1 at the top", d.integer(&version, 1, 1)},
		{"pipelines", "list at least one pipeline, each with a name, a repository and an image", func(n *yaml.Node, field string) {
			d.List(n, field, d.pipeline)
			if len(d.pipelines) == 0 {
				d.Warn(n, field, "lists no pipeline: nothing will be built")
			}
		}},
	})
}

// pipeline reads one item of pipelines.
func (d *document) pipeline(n *yaml.Node, field string) {
	x := &declared{line: n.Line, pipeline: messages.Pipeline{
		Branch:     messages.DefaultBranch,
		Dockerfile: messages.DefaultDockerfile,
		HooksDir:   messages.DefaultHooksDir,
		Timeout:    defaultTimeout,
		Attempts:   messages.DefaultAttempts,
		RetryFor:   messages.DefaultRetryFor,
	}}
	p := &x.pipeline
	d.allowances = nil
	before := len(d.Problems)
	d.mapping(n, field, []key{
		{"name", "give the pipeline a DNS label such as base-image", d.pipelineName(x)},
		{"repository", "give the git URL that is built, such as https://git.example.com/ops/base.git", d.text(&p.Repository, messages.CheckRepository)},
		{"branch", "", d.branch(p)},
		{"branches", "", d.refPatterns(&p.Branches, "branch")},
		{"tags", "", d.refPatterns(&p.Tags, "tag")},
		{"paths", "", d.patterns(&x.pathList, checkPathPattern)},
		{"skip_ci", "", d.truth(&x.skipCI)},
		{"dockerfile", "", d.text(&p.Dockerfile, nil)},
		{"directory", "", d.text(&p.Directory, nil)},
		{"image", "give the name that is pushed to, such as registry.example.com/exampleco/newimg", d.text(&p.Image, messages.CheckImageName)},
		{"platform", "", d.text(&p.Platform, nil)},
		{"build_args", "", d.buildArgs(p)},
		{"hooks_dir", "", d.text(&p.HooksDir, nil)},
		{"timeout", "", d.duration(&p.Timeout, messages.Duration(1e9))},
		{"attempts", "", d.integer(&p.Attempts, 1, 100)},
		{"retry_for", "", d.duration(&p.RetryFor, messages.Duration(1e9))},
		{"repository_token", "", d.text(&p.TokenName, checkSecretName)},
		{"secrets", "", d.words(&p.Secrets, checkSecretName)},
		{"webhook", "", d.webhook(x)},
		{"status", "", d.status(x)},
		{"fleets", "", func(n *yaml.Node, field string) {
			d.List(n, field, func(n *yaml.Node, field string) { d.fleet(p, n, field) })
		}},
	})
	if len(d.Problems) > before {
		return
	}
	d.checkAllowances(p)
	if d.fillStatus(x, field); len(d.Problems) > before {
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
	if d.resolveRefs(x, n, field); len(d.Problems) > before {
		return
	}
	x.place = placeOf(p.Repository)
	d.pipelines = append(d.pipelines, x)
}

// value is the value of a field of a mapping, or nil.
func value(n *yaml.Node, name string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
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

func (d *document) pipelineName(x *declared) func(*yaml.Node, string) {
	return d.text(&x.pipeline.Name, func(s string) error {
		if err := messages.CheckName("pipeline", s); err != nil {
			return err
		}
		if at, ok := d.names[s]; ok {
			return fmt.Errorf("pipeline name %q is taken by the pipeline at line %d: give each its own", s, at)
		}
		d.names[s] = x.line
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
		before := len(d.Problems)
		d.words(&x.forges, func(s string) error {
			if other, ok := otherForgeCalled(s); ok {
				return errors.New(other)
			}
			if known := forgeNames(); !slices.Contains(known, s) {
				return fmt.Errorf("%q is not a forge%s (known: %s)", clip(s), suggest.DidYouMean(s, known), strings.Join(known, ", "))
			}
			return nil
		})(n, field)
		if x.forges == nil && len(d.Problems) == before {
			d.Problem(n, field, "lists no forge: name some, or leave it out to accept all")
		}
	}
}

func (d *document) secretFile(x *declared) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		var name string
		d.text(&name, func(s string) error {
			if s == "" {
				return errors.New("is empty: name a file with the webhook's secret")
			}
			return checkPasted(s)
		})(n, field)
		if name == "" {
			return
		}
		if s, ok := d.secrets[name]; ok {
			x.secret = s
			return
		}
		s, exposed, err := d.secret(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			d.Problem(n, field, "secret file %q does not exist: make it with (umask 077; openssl rand -hex 32 > FILE) and give the forge the same secret; relative names count from the folder of this file", clip(name))
			d.Problems[len(d.Problems)-1].Absent = true
			return
		case err != nil:
			d.Problem(n, field, "secret file %q: %v", clip(name), err)
			return
		}
		if exposed {
			d.Warn(n, field, "secret file %q can be read by every user of this machine: chmod 600 it", clip(name))
		}
		if least := s.shortest(); least < guessable {
			d.Warn(n, field, "the secret in %q has %d characters and can be guessed: use at least 16 (openssl rand -hex 32)", clip(name), least)
		}
		d.secrets[name] = s
		x.secret = s
	}
}
