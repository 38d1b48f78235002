package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/suggest"
	"github.com/spf13/cobra"
)

// checked is one thing that doctor looked at.
type checked struct {
	What    string `json:"what"`
	OK      bool   `json:"ok"`
	Found   string `json:"found,omitempty"`
	Problem string `json:"problem,omitempty"` // with the fix
}

// errDoctor tells that something would keep a role from working.
var errDoctor = errors.New("problems found")

// doctor is what `doctor` looks at.
type doctor struct {
	access  access
	monitor string       // URL of the NATS server's monitoring
	builder builderFlags // of which it is how buildkitd and registries are reached that counts
	engine  docker.Config
}

func newDoctorCmd() *cobra.Command {
	var d doctor
	var f format
	cmd := &cobra.Command{
		Use: "doctor [producer|builder|controller|distributor]", Short: "Check this machine for a role",
		Long: `Checks what a role needs: NATS with JetStream and its clock for all, and how durable it is
where its monitoring is given; git for a producer and a builder; buildkitd for a builder;
the Docker engine and its disk for a distributor. Without a role it checks everything, as
'fenceline up' runs it. The file of --settings is the role's own, or that of 'fenceline up':
all of it is read, and what the checks need is taken.` + envNote("password-file"),
		Example: "  fenceline doctor\n  fenceline doctor builder --settings /etc/fenceline/builder.yaml\n  fenceline doctor distributor --docker-host unix:///var/run/docker.sock\n" +
			"  fenceline doctor controller --nats nats://core:4222 --nats-monitor http://core:8222",
		Args:      args(0, 1),
		ValidArgs: roles(),
		RunE: func(cmd *cobra.Command, args []string) error {
			role := ""
			if len(args) > 0 {
				role = args[0]
			}
			if err := d.given(cmd, role); err != nil {
				return err
			}
			return d.run(cmd.Context(), role, &session{out: cmd.OutOrStdout(), format: f})
		},
	}
	d.access.flags(cmd.Flags())
	f.flag(cmd.Flags())
	cmd.Flags().StringVar(&d.monitor, "nats-monitor", "", "the NATS server's monitoring, http://HOST:PORT; durability is not checked without it")
	cmd.Flags().StringVar(&d.engine.Host, "docker-host", "", "the Docker engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)")
	cmd.Flags().StringVar(&d.builder.buildkit, "buildkit", "", "address of the buildkitd (default: that of 'fenceline up', or "+defaultBuildkit+")")
	folderVar(cmd.Flags(), &d.builder.dockerConfig, "docker-config", "", "folder of the config.json with the registries' logins")
	d.builder.addTrust(cmd.Flags())
	settingsFlag(cmd.Flags())
	explain(cmd.Flags(), settingsKey, "The role's, or that of up where no role is named.")
	return cmd
}

// roles are the roles that run apart.
func roles() []string { return []string{userProducer, userBuilder, userController, roleDistributor} }

// checkRole refuses what is no role.
func checkRole(role string) error {
	if !slices.Contains(roles(), role) {
		return usagef("there is no role %q%s: name producer, builder, controller or distributor", role, suggest.DidYouMean(role, roles()))
	}
	return nil
}

// given takes what the line doesn't say from variables, and from the settings of the role, or
// of `up` where role is "".
func (d *doctor) given(cmd *cobra.Command, role string) error {
	of := []string{"up"}
	if role != "" {
		if err := checkRole(role); err != nil {
			return err
		}
		of = []string{"run", role}
	}
	if err := fromEnvironment(cmd); err != nil {
		return err
	}
	found, err := settingsOf(cmd, of...)
	if err != nil {
		return err
	}
	found.apply(cmd.Flags())
	d.access.state, d.access.inboxPrefix = found.text("state"), found.text("inbox-prefix")
	d.engine.DockerConfig = d.builder.dockerConfig
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
	switch role {
	case userProducer:
		todo = append(todo, checkGit)
	case userBuilder:
		todo = append(todo, checkGit, d.checkBuildkit)
	case userController:
	case roleDistributor:
		todo = append(todo, d.checkEngine, d.checkDisk)
	case "":
		todo = append(todo, checkGit, d.checkBuildkit, d.checkEngine, d.checkDisk)
	}
	var found []checked
	bad := 0
	for _, check := range todo {
		ctx, cancel := context.WithTimeout(ctx, doctorTime)
		c := check(ctx)
		cancel()
		if c.OK = c.Problem == ""; !c.OK {
			bad++
		}
		found = append(found, c)
	}
	err := s.print(found, func(w io.Writer) {
		for _, c := range found {
			state := "ok"
			if !c.OK {
				state = "PROBLEM"
			}
			row(w, state, c.What, c.Found+c.Problem)
		}
	})
	if err == nil && bad > 0 {
		err = fmt.Errorf("%w: %d", errDoctor, bad)
	}
	return err
}
