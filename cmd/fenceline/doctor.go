package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
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

func newDoctorCmd() *cobra.Command {
	var host, address string
	s := &session{access: &access{}}
	cmd := &cobra.Command{
		Use: "doctor [producer|builder|controller|distributor]", Short: "Check this machine for a role",
		Long: `Checks what a role needs: NATS with JetStream for all, git and buildkitd for a builder, the
Docker engine and its disk for a distributor. Without a role it checks everything.` + envNote,
		Example: "  fenceline doctor\n  fenceline doctor distributor --docker-host unix:///var/run/docker.sock",
		Args:    args(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := fromEnvironment(cmd); err != nil {
				return err
			}
			s.out = cmd.OutOrStdout()
			role := ""
			if len(args) > 0 {
				role = args[0]
			}
			return s.doctor(cmd.Context(), role, host, address)
		},
	}
	s.access.flags(cmd.Flags())
	cmd.Flags().VarP(&s.format, "output", "o", "output format: table or json")
	cmd.Flags().StringVar(&host, "docker-host", "", "the Docker engine (default: $DOCKER_HOST, or unix:///var/run/docker.sock)")
	cmd.Flags().StringVar(&address, "buildkit", "", "address of the buildkitd; not checked when empty")
	return cmd
}

// doctorTime bounds each check.
const doctorTime = 10 * time.Second

func (s *session) doctor(ctx context.Context, role, host, address string) error {
	checks := map[string][]func(context.Context) checked{
		userProducer:   {s.checkNATS, checkGit},
		userBuilder:    {s.checkNATS, checkGit, checkBuildkit(address)},
		userController: {s.checkNATS},
		"distributor":  {s.checkNATS, checkEngine(host), checkDisk(host)},
		"":             {s.checkNATS, checkGit, checkBuildkit(address), checkEngine(host), checkDisk(host)},
	}
	todo, ok := checks[role]
	if !ok {
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

func (s *session) checkNATS(ctx context.Context) checked {
	c := checked{What: "NATS with JetStream"}
	if err := s.access.resolve(); err != nil {
		c.Problem = err.Error()
		return c
	}
	q, err := s.access.dial(ctx)
	if err == nil {
		defer q.Close()
		err = q.Ready(ctx)
	}
	if err != nil {
		c.Problem = err.Error()
		return c
	}
	off, err := clockOffset(ctx, q)
	switch {
	case err != nil:
		c.Problem = err.Error()
	case off.Abs() > time.Minute:
		c.Problem = fmt.Sprintf("its clock is %s off this machine's: set both by NTP, or times shown will mislead", off.Round(time.Second))
	default:
		c.Found = s.access.NATS
	}
	return c
}

// clockOffset is how far the server's clock is ahead of this machine's, as far as a stored
// message shows it; 0 where there is none that is fresh.
func clockOffset(ctx context.Context, q *queue.Client) (time.Duration, error) {
	nodes, err := queue.Nodes(q).List(ctx)
	if err != nil {
		return 0, err
	}
	var newest time.Time
	for _, n := range nodes {
		newest = latest(newest, n.Created)
	}
	if off := time.Until(newest); !newest.IsZero() && off > 0 {
		return off, nil
	}
	return 0, nil
}

func checkGit(ctx context.Context) checked {
	c := checked{What: "git"}
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		c.Problem = "git is not in $PATH: install it"
		return c
	}
	c.Found = firstLineOf(string(out))
	return c
}

func firstLineOf(s string) string { return firstLine(&messages.Failure{Reason: s}) }

func checkBuildkit(address string) func(context.Context) checked {
	return func(ctx context.Context) checked {
		c := checked{What: "buildkitd", Found: address}
		if address == "" {
			c.Found = "not checked: give --buildkit"
			return c
		}
		solver, err := buildkit.New(buildkit.Config{Address: address})
		if err == nil {
			err = solver.Ready(ctx)
		}
		if err != nil {
			c.Found, c.Problem = "", err.Error()
		}
		return c
	}
}

func checkEngine(host string) func(context.Context) checked {
	return func(ctx context.Context) checked {
		c := checked{What: "Docker engine"}
		e, err := docker.New(host)
		if err != nil {
			c.Problem = err.Error()
			return c
		}
		info, err := e.Info(ctx)
		if err != nil {
			c.Problem = err.Error()
			return c
		}
		c.Found = fmt.Sprintf("%s %s, API %s", info.Name, info.Version, info.API)
		return c
	}
}

// wantedFree is the free space that a base image of Stackato's size (1.9 GB, by its admin
// guide) and its successor need.
const wantedFree = 5 << 30

func checkDisk(host string) func(context.Context) checked {
	return func(ctx context.Context) checked {
		c := checked{What: "disk of the Docker engine"}
		e, err := docker.New(host)
		if err != nil {
			c.Problem = err.Error()
			return c
		}
		free, err := e.FreeBytes(ctx)
		switch {
		case err != nil:
			c.Problem = err.Error()
		case free >= 0 && free < wantedFree:
			c.Problem = fmt.Sprintf("%s are free, and two base images of 2 GB want %s: make room", size(free), size(wantedFree))
		default:
			c.Found = size(free) + " free"
		}
		return c
	}
}
