package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

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
	access   access
	monitor  string // URL of the NATS server's monitoring
	docker   string // the Docker engine
	buildkit string // address of the buildkitd
}

func newDoctorCmd() *cobra.Command {
	var d doctor
	var f format
	cmd := &cobra.Command{
		Use: "doctor [producer|builder|controller|distributor]", Short: "Check this machine for a role",
		Long: `Checks what a role needs: NATS with JetStream and its clock for all, and how durable it is
where its monitoring is given; git for a producer and a builder; buildkitd for a builder;
the Docker engine and its disk for a distributor. Without a role it checks everything.` + envNote("password-file"),
		Example: "  fenceline doctor\n  fenceline doctor distributor --docker-host unix:///var/run/docker.sock\n" +
			"  fenceline doctor controller --nats nats://core:4222 --nats-monitor http://core:8222",
		Args:      args(0, 1),
		ValidArgs: []string{userProducer, userBuilder, userController, roleDistributor},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := fromEnvironment(cmd); err != nil {
				return err
			}
			role := ""
			if len(args) > 0 {
				role = args[0]
			}
			return d.run(cmd.Context(), role, &session{out: cmd.OutOrStdout(), format: f})
		},
	}
	d.access.flags(cmd.Flags())
	f.flag(cmd.Flags())
	cmd.Flags().StringVar(&d.monitor, "nats-monitor", "", "the NATS server's monitoring, http://HOST:PORT; durability is not checked without it")
	cmd.Flags().StringVar(&d.docker, "docker-host", "", "the Docker engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)")
	cmd.Flags().StringVar(&d.buildkit, "buildkit", "", "address of the buildkitd (default: that of 'fenceline up', or "+defaultBuildkit+")")
	return cmd
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
	default:
		return usagef("there is no role %q: name producer, builder, controller or distributor", role)
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
