package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// checked is one thing that doctor looked at.
type checked struct {
	What    string `json:"what"`
	OK      bool   `json:"ok"`
	Found   string `json:"found,omitempty"`
	Problem string `json:"problem,omitempty"` // with the fix
	err     error  // the problem
}

// errDoctor tells that something would keep a role from working.
var errDoctor = errors.New("problems found")

// doctor is what `doctor` looks at.
type doctor struct {
	access     access
	monitor    string          // URL of the NATS server's monitoring
	builder    buildkit.Config // how buildkitd and registries are reached
	registries settings.Registries
	fence      backends.Config // where fence configs live
	engine     docker.Config
	apply      apply.Config
	pull       settings.PullWay
	config     string         // the pipeline file, or the folder of pipeline files; "" for none
	tokens     string         // the console's file of tokens; "" for none
	oidc       settings.OIDC  // by which provider people sign in to the console
	certFile   string         // the producer's or console's certificate; "" for none
	keyFile    string         // and its key
	flags      *pflag.FlagSet // the command's
}

func newDoctorCmd() *cobra.Command {
	var d doctor
	var f format
	cmd := &cobra.Command{
		Use: "doctor [producer|builder|controller|distributor|statuses|console]", Short: "Check this machine for a role",
		Long: `Checks what a role needs: NATS with JetStream and its clock for all, and how durable it is
where its monitoring is given; git for a producer and a builder; the pipeline file for a
producer, that of its settings and the one that a running one uses, the certificate of its
settings (--settings), and whether registries show it the bases that its pipelines follow;
buildkitd for a builder;
where fence configs live for a controller; the Docker engine, its disk, each mirror of the
node's own (--mirror), and where the image is applied, for a distributor; for statuses the
forges, where the pipeline file says whom to tell; the certificate of its settings and the file
of tokens for a console. Without a role it checks everything, as
'fenceline up' runs it.
The file of --settings is the role's own, or that of 'fenceline up': all of it is read, and
what the checks need is taken.` + settings.VariablesNote("password-file"),
		Example: "  fenceline doctor\n  fenceline doctor builder --settings /etc/fenceline/builder.yaml\n  fenceline doctor distributor --docker-host unix:///var/run/docker.sock\n" +
			"  fenceline doctor controller --nats nats://core:4222 --nats-monitor http://core:8222",
		Args:      settings.Args(0, 1),
		ValidArgs: settings.Roles(),
		RunE: func(cmd *cobra.Command, args []string) error {
			role := cmp.Or(args...)
			if err := d.given(cmd, role); err != nil {
				return err
			}
			return d.run(cmd.Context(), role, &session{out: cmd.OutOrStdout(), format: f})
		},
	}
	d.flags = cmd.Flags()
	d.access.flags(d.flags)
	f.flag(cmd.Flags())
	cmd.Flags().StringVar(&d.monitor, "nats-monitor", "", "the NATS server's monitoring, http://HOST:PORT; durability is not checked without it")
	cmd.Flags().StringVar(&d.engine.Host, "docker-host", "", "the Docker engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)")
	cmd.Flags().StringVar(&d.builder.Address, "buildkit", "", "address of the buildkitd (default: that of 'fenceline up', or "+settings.DefaultBuildkit+")")
	settings.FolderVar(cmd.Flags(), &d.builder.DockerConfig, "docker-config", "", "folder of the config.json with the registries' logins")
	d.registries.Add(cmd.Flags())
	settings.AddApply(cmd.Flags(), &d.apply)
	d.pull.Add(cmd.Flags())
	settings.AddFence(cmd.Flags(), &d.fence)
	settings.FileVar(cmd.Flags(), &d.config, "config", "", "the pipeline file, or the folder of them; the forges are asked whether they would take its statuses")
	settings.AddFile(cmd.Flags())
	settings.Explain(cmd.Flags(), settings.FileFlag, "The role's, or that of up where no role is named.")
	return cmd
}

// given takes what the line doesn't say from variables, and from the settings of the role, or
// of `up` where role is "".
func (d *doctor) given(cmd *cobra.Command, role string) error {
	if role != "" {
		if err := settings.CheckRole(role); err != nil {
			return err
		}
	}
	if err := settings.FromEnvironment(cmd.Flags()); err != nil {
		return err
	}
	found, err := settings.ReadFile(cmd.Flags(), cmp.Or(role, settings.Everything))
	if err != nil {
		return err
	}
	found.Apply(cmd.Flags())
	d.access.state, d.access.InboxPrefix = found.Text("state"), found.Text("inbox-prefix")
	d.config = cmp.Or(d.config, found.Text("pipelines"), found.Text("config"))
	if listen := found.Text("listen"); d.access.producer == "" && listen != "" && role != settings.RoleConsole {
		d.access.producer = urlHere(listen, found.Text("tls-cert-file"))
		d.access.producerCAFile = cmp.Or(d.access.producerCAFile, found.Text("tls-cert-file"))
	}
	d.tokens = found.Text("console-tokens-file")
	if err := d.givenOIDC(found); err != nil {
		return err
	}
	d.certFile, d.keyFile = found.Text("tls-cert-file"), found.Text("tls-key-file")
	d.access.tokenFile = cmp.Or(d.access.tokenFile, found.Text("token-file"))
	d.engine.DockerConfig = d.builder.DockerConfig
	d.builder.RegistryCAFile, d.builder.PlainHTTP = d.registries.CAFile, d.registries.PlainHTTP
	return nil
}

// doctorTime bounds each check.
const doctorTime = 10 * time.Second

func (d *doctor) run(ctx context.Context, role string, s *session) error {
	known := d.access.resolve() // tells the checks of NATS and buildkitd where to look
	todo := []func(context.Context) checked{func(ctx context.Context) checked { return d.checkNATS(ctx, known) }}
	if d.monitor != "" {
		todo = append(todo, d.checkDurable)
	}
	if d.access.stateFolder {
		todo = append(todo, d.checkStateDisk)
	}
	if d.certFile != "" {
		todo = append(todo, d.checkCertificate)
	}
	switch role {
	case settings.RoleProducer:
		todo = append(todo, checkGit, d.checkPipelines, d.checkTriggers, d.checkBases)
	case settings.RoleBuilder:
		todo = append(todo, checkGit, d.checkBuildkit)
	case settings.RoleController:
		todo = append(todo, d.checkFence)
	case settings.RoleDistributor:
		todo = append(todo, d.checkEngine, d.checkDisk, d.checkApply)
		todo = append(todo, d.checkMirrors()...)
	case settings.RoleConsole:
		todo = append(todo, d.checkConsoleTokens)
		if d.oidc.Wanted() {
			todo = append(todo, d.checkOIDC)
		}
	case settings.RoleStatuses:
		todo = append(append(todo, d.statusChecks(role)...), d.sinkChecks(role)...)
	case "":
		todo = append(todo, checkGit, d.checkPipelines, d.checkTriggers, d.checkBases, d.checkBuildkit, d.checkFence, d.checkEngine, d.checkDisk, d.checkApply)
		todo = append(todo, d.checkMirrors()...)
		todo = append(append(todo, d.statusChecks(role)...), d.sinkChecks(role)...)
	}
	var found []checked
	bad := 0
	for _, check := range todo {
		ctx, cancel := context.WithTimeout(ctx, doctorTime)
		c := check(ctx)
		cancel()
		if c.OK = c.err == nil; !c.OK {
			c.Problem = nameFlags(d.flags, c.err).Error()
			bad++
		}
		found = append(found, c)
	}
	err := s.print(found, func(p *terminal.Page) {
		for _, c := range found {
			state := "ok"
			if !c.OK {
				state = "PROBLEM"
			}
			p.Row(state, c.What, c.Found+c.Problem)
		}
	})
	if err == nil && bad > 0 {
		err = fmt.Errorf("%w: %d", errDoctor, bad)
	}
	return err
}
