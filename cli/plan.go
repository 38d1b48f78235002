package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/cli/plan"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/suggest"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// errBlocked tells that something stands in the way of a flip. What that is was printed.
var errBlocked = errors.New("something stands in the way of a flip")

// planned is what `plan` is told.
type planned struct {
	from               settings.PipelineFiles
	given              bool // where the pipelines are declared was said
	branch, secretsDir string
	dockerConfig       string
	registries         settings.Registries
}

func newPlanCmd() *cobra.Command {
	var o planned
	cmd := &cobra.Command{
		Use: "plan PIPELINE", Short: "Say what a push now would do, and what stands in its way",
		Long: `Says for the head of a pipeline's branch whether it has a build, or would be built; what the
images that its Dockerfile names are now, and what the last image was built on; and for each
fleet which members would not count, whether the quorum can be reached, how many nodes go in
each wave, how much they would fetch and whether they have room for it, and what else is in
the way: a hold, a soak, a rollout that comes first, a person's approval. It reads, and
changes nothing. What can't be reached is said, and the rest all the same.

The pipeline is that of the pipeline file; where none is here, that of its last request, of
which paths and skip_ci are not known. The repository is asked as a producer does, with the
token of --secrets-dir, and the registry as a builder does, with the logins of
--docker-config. What nodes would fetch is the last image on the bases as they are now,
without the layers of the images that they report; at most all layers of its own.

Exit status: 0 where a push would be built, and flip every fleet by itself; 3 where something
stands in the way, or is not known; 1 where nothing can be said; 2 where a flag is wrong.`,
		Example: `  fenceline plan libgraphite2
  fenceline plan libgraphite2 --config /etc/fenceline/fenceline.yaml --secrets-dir /etc/fenceline/secrets -o json`,
		Args: settings.Args(1, 1),
	}
	fs := cmd.Flags()
	o.from.Add(fs)
	fs.StringVar(&o.branch, "branch", "", "branch that is pushed to; the pipeline's own where none is given")
	settings.FolderVar(fs, &o.secretsDir, "secrets-dir", "", "folder with the files of the secrets that pipelines name")
	settings.FolderVar(fs, &o.dockerConfig, "docker-config", "", "folder of the config.json with the registries' logins (default: with that of up's registry, in its folder)")
	o.registries.Add(fs)
	return operator(cmd, func(ctx context.Context, s *session, args []string) error {
		o.given = fs.Changed("config") || fs.Changed("pipelines")
		path, err := o.from.Path(fs)
		if err != nil {
			return err
		}
		p, err := s.plan(ctx, &o, path, args[0], fs)
		if err != nil {
			return err
		}
		if err := s.print(p, func(page *terminal.Page) { writePlan(page, p) }); err != nil {
			return err
		}
		if !p.Flips {
			return errBlocked
		}
		return nil
	}, "config", "pipelines", "secrets-dir", "docker-config", "registry-ca-file", "registry-plain-http")
}

// plan makes the plan of a pipeline.
func (s *session) plan(ctx context.Context, o *planned, path, name string, given *pflag.FlagSet) (*plan.Plan, error) {
	if err := messages.CheckName("pipeline", name); err != nil {
		return nil, settings.Usage(err)
	}
	c := &plan.Config{Queue: s.queue, NameFlags: func(err error) error { return nameFlags(given, err) }}
	if err := s.declaredIn(ctx, o, c, path, name); err != nil {
		return nil, err
	}
	branch := cmp.Or(o.branch, c.Pipeline.Branch)
	if err := messages.CheckBranch(branch); err != nil {
		return nil, settings.Usagef("--branch: %w", err)
	}
	c.Pipeline = c.Pipeline.At(messages.BranchRefs + branch)
	c.Remote, c.RemoteErr = producer.RemoteOf(&c.Pipeline, o.secretsDir)
	var err error
	c.Catalog, err = buildkit.NewCatalog(buildkit.Config{DockerConfig: cmp.Or(o.dockerConfig, s.access.dockerConfig), RegistryCAFile: o.registries.CAFile, PlainHTTP: o.registries.PlainHTTP})
	if err != nil {
		return nil, err
	}
	return plan.Make(ctx, c)
}

// declaredIn fills in the pipeline as the file has it, or as its last request has it where there is no file here.
func (s *session) declaredIn(ctx context.Context, o *planned, c *plan.Config, path, name string) error {
	var known []string
	p, _, err := producer.LoadUnsigned(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !o.given:
	case err != nil:
		return err
	default:
		known = p.Names()
		for _, d := range p.All() {
			if d.Name == name {
				c.Pipeline, c.From = d, path
			}
		}
	}
	if c.From != "" {
		branch := cmp.Or(o.branch, c.Pipeline.Branch)
		c.Judge = func(ctx context.Context, before, commit string) (bool, string) {
			a := p.Foreseen(ctx, name, branch, before, commit, o.secretsDir)
			if a.Build && !p.TakesWebhooks(name) {
				a.Why += "; it takes no webhooks, so that somebody or something else has to ask for the build"
			}
			return a.Build, a.Why
		}
		return nil
	}
	if !o.given {
		if c.Pipeline, c.From, err = s.requested(ctx, name); err != nil || c.From != "" {
			return err
		}
	}
	said := fmt.Sprintf("there is no pipeline %q%s", name, suggest.DidYouMean(name, known))
	if len(known) == 0 {
		said += ": there is no pipeline file " + path + " here, and no request for it: name the file with --config"
	}
	return errors.New(said)
}

// requested is a pipeline as its last request has it, and which that is.
func (s *session) requested(ctx context.Context, name string) (p messages.Pipeline, from string, err error) {
	space := s.queue.Space()
	m, err := s.queue.Last(ctx, space.RequestsStream(), space.AnyRequest(name))
	if errors.Is(err, queue.ErrNotFound) {
		return p, "", nil
	}
	if err != nil {
		return p, "", fmt.Errorf("reading the pipeline's last request: %w", err)
	}
	if r, err := s.queue.Decode(m); err == nil {
		if b, ok := r.Payload.(*messages.BuildRequested); ok && b.Pipeline.Name == name {
			return b.Pipeline, "the request of build " + b.Build, nil
		}
	}
	return p, "", nil
}
