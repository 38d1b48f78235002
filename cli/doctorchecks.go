package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/builder/buildkit"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/distributor/apply"
	"github.com/fenceline/fenceline/distributor/content"
	"github.com/fenceline/fenceline/distributor/docker"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/producer"
)

// The checks of doctor.

// problem is c with what is wrong.
func (c checked) problem(err error) checked {
	c.Found, c.Problem, c.err = "", err.Error(), err
	return c
}

func (d *doctor) checkNATS(ctx context.Context, known error) checked {
	c := checked{What: "NATS with JetStream", Found: diagnosis.Redact(d.access.URL)}
	if known != nil {
		return c.problem(known)
	}
	q, err := d.access.dial(ctx)
	if err != nil {
		return c.problem(err)
	}
	defer q.Close()
	if err := q.Ready(ctx); err != nil {
		return c.problem(err)
	}
	ahead, err := clockAhead(ctx, store.NewClock(q))
	if errors.Is(err, queue.ErrForbidden) {
		c.Found += "; its clock is not for this user to ask"
		return c
	}
	if err != nil {
		return c.problem(err)
	}
	if off := ahead.Abs(); off > maxClockOff {
		return c.problem(errors.New(overview.ClockText("this machine's clock", ahead)))
	}
	return c
}

// checkDurable reads from the server's monitoring whether what it acks is on disk then.
func (d *doctor) checkDurable(ctx context.Context) checked {
	c := checked{What: "durability of NATS", Found: "every write is synced before it is acked"}
	url := strings.TrimSuffix(d.monitor, "/") + "/jsz?config=true"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return c.problem(fmt.Errorf("--nats-monitor: %w", err))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return c.problem(fmt.Errorf("asking the monitoring of NATS: %w", err))
	}
	defer resp.Body.Close()
	var js struct {
		Disabled bool `json:"disabled"`
		Config   *struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
		Cluster *struct {
			Size int `json:"cluster_size"`
		} `json:"meta_cluster"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&js)
	switch {
	case err != nil || js.Config == nil:
		return c.problem(fmt.Errorf("%s is no monitoring of a NATS server with JetStream: it answered %s", diagnosis.Redact(url), resp.Status))
	case js.Disabled:
		return c.problem(fmt.Errorf("JetStream is switched off: add a jetstream block to the server's configuration"))
	case !js.Config.SyncAlways && js.Cluster == nil:
		return c.problem(fmt.Errorf("what it acks can be lost with the machine for up to two minutes: set jetstream { sync_interval: always }"))
	case !js.Config.SyncAlways:
		c.Found = fmt.Sprintf("a cluster of %d; give producers and controllers --replicas 3, as writes are synced later", js.Cluster.Size)
	}
	return c
}

// checkFence looks at the place where fence configs live.
func (d *doctor) checkFence(ctx context.Context) checked {
	c := checked{What: "fence config"}
	places, err := backends.New(d.fence)
	if err == nil {
		c.Found, err = places.Check(ctx)
	}
	if err != nil {
		return c.problem(err)
	}
	if c.Found == messages.FenceNATS {
		c.Found += ": in the installation's own bucket"
	} else {
		c.Found += " can be read"
	}
	return c
}

func checkGit(ctx context.Context) checked {
	c := checked{What: "git"}
	out, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		return c.problem(fmt.Errorf("running git: %w: install it", err))
	}
	if err := git.Usable(ctx); err != nil {
		return c.problem(err)
	}
	c.Found = strings.TrimSpace(string(out))
	return c
}

// here is an address to reach what listens at one on this machine.
func here(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// urlHere is the address of a producer that listens on this machine.
func urlHere(listen, certFile string) string {
	switch {
	case listen == settings.ListenSystemd:
		return "" // only systemd knows
	case strings.HasPrefix(listen, "unix:"):
		return listen
	case certFile != "":
		return "https://" + here(listen)
	}
	return "http://" + here(listen)
}

// checkCertificate looks at the certificate of a producer's settings.
func (d *doctor) checkCertificate(context.Context) checked {
	c := checked{What: "certificate"}
	until, err := producer.CheckCertificate(d.certFile, d.keyFile)
	if err != nil {
		return c.problem(err)
	}
	if end := expiry(until); end != "" {
		return c.problem(fmt.Errorf("%s %s: put a new one there, which a running producer reads by itself", d.certFile, end))
	}
	c.Found = fmt.Sprintf("%s is valid until %s", d.certFile, until.UTC().Format(time.DateOnly))
	return c
}

// checkPipelines looks at the pipeline file: at the one of the producer's settings, and at what producers that run
// say of theirs.
func (d *doctor) checkPipelines(ctx context.Context) checked {
	c := checked{What: "pipeline file", Found: "none is named here, and no producer is known that could be asked"}
	if d.config != "" {
		p, err := producer.LoadPipelines(d.config)
		if err != nil {
			return c.problem(err)
		}
		c.Found = fmt.Sprintf("%s has %s", d.config, overview.Counted(len(p.All()), "pipeline"))
	}
	running, err := d.access.askProducers(ctx)
	if err != nil {
		return c.problem(err)
	}
	for i := range running {
		s := &running[i]
		switch problems := s.problems(); {
		case s.Away != "" && d.config != "": // it need not run yet
			c.Found += "; " + s.URL + " is not there to be asked"
		case len(problems) > 0:
			return c.problem(errors.New(strings.Join(problems, "\n")))
		default:
			c.Found = fmt.Sprintf("%s, read %s, has %s", s.Path, overview.Ago(s.Loaded), overview.Counted(len(s.Pipelines), "pipeline"))
		}
	}
	if d := different(running); d != "" {
		return c.problem(errors.New(d))
	}
	return c
}

// checkTriggers looks at what producers share of schedules, polls and bases.
func (d *doctor) checkTriggers(ctx context.Context) checked {
	c := checked{What: "triggers"}
	q, err := d.access.dial(ctx)
	if err != nil { // which is the finding of NATS
		c.Found = "not known without NATS"
		return c
	}
	defer q.Close()
	if err := store.CheckTriggers(ctx, q); err != nil {
		return c.problem(err)
	}
	c.Found = "what producers share of schedules, polls and bases is there"
	return c
}

func (d *doctor) checkBuildkit(ctx context.Context) checked {
	config := d.builder
	config.Address = cmp.Or(config.Address, d.access.buildkit, settings.DefaultBuildkit)
	c := checked{What: "buildkitd", Found: config.Address}
	solver, err := buildkit.New(config)
	if err == nil {
		err = solver.Ready(ctx)
	}
	network := ""
	if err == nil {
		network, err = solver.StepNetwork(ctx)
	}
	if err != nil {
		return c.problem(err)
	}
	c.Found += ": " + network
	return c
}

func (d *doctor) checkEngine(ctx context.Context) checked {
	c := checked{What: "Docker engine"}
	e, err := docker.New(d.engine)
	if err != nil {
		return c.problem(err)
	}
	defer func() { _ = e.Close() }() // only asked
	info, err := e.Info(ctx)
	if err != nil {
		return c.problem(err)
	}
	c.Found = fmt.Sprintf("%s %s, API %s", info.Name, info.Version, info.API)
	if limits := docker.Limits(info.API); limits != "" {
		c.Found += ": " + limits
	}
	return c
}

// checkMirrors looks at how the node fetches images, and asks each of its own mirrors.
func (d *doctor) checkMirrors() []func(context.Context) checked {
	way := d.pull.Way()
	if way == nil {
		return nil
	}
	err := d.pull.Check()
	if err == nil {
		err = way.Validate()
	}
	if err != nil {
		return []func(context.Context) checked{func(context.Context) checked {
			return checked{What: "fetching images"}.problem(err)
		}}
	}
	var out []func(context.Context) checked
	for _, m := range way.Mirrors {
		out = append(out, func(ctx context.Context) checked { return d.checkMirror(ctx, &m) })
	}
	return out
}

func (d *doctor) checkMirror(ctx context.Context, m *messages.Mirror) checked {
	c := checked{What: "mirror " + m.URL, Found: "answers"}
	e, err := docker.New(d.engine) // has the logins
	if err == nil {
		defer func() { _ = e.Close() }()
		err = content.New(content.Config{Login: e.Login}).Check(ctx, m)
	}
	if err != nil {
		return c.problem(err)
	}
	return c
}

// checkApply looks at where the node writes the current image.
func (d *doctor) checkApply(context.Context) checked {
	c := checked{What: "applying the image"}
	if !d.apply.Given() {
		c.Found = "nothing on this machine is told which image is current"
		return c
	}
	t, err := apply.New(d.apply)
	if err == nil {
		err = t.Check()
	}
	if err != nil {
		return c.problem(err)
	}
	c.Found = t.Describe()
	return c
}

// checkStateDisk looks at the disk of the state folder of `up`.
func (d *doctor) checkStateDisk(context.Context) checked {
	c := checked{What: "disk of the state folder", Found: "there is room for builds, pushes and what NATS stores"}
	if err := d.access.shortage(); err != nil {
		return c.problem(err)
	}
	return c
}

// wantedFree is the free space that a base image of Stackato's size (1.9 GB, by its admin
// guide) and its successor need.
const wantedFree = 5_000_000_000

func (d *doctor) checkDisk(ctx context.Context) checked {
	c := checked{What: "disk of the Docker engine"}
	e, err := docker.New(d.engine)
	if err != nil {
		return c.problem(err)
	}
	defer func() { _ = e.Close() }() // only asked
	free, err := e.FreeBytes(ctx)
	switch {
	case err != nil:
		return c.problem(err)
	case free < 0:
		c.Found = "its free space can't be seen from here"
	case free < wantedFree:
		return c.problem(fmt.Errorf("%s are free, and two base images of 2 GB want %s: make room", messages.Size(free), messages.Size(wantedFree)))
	default:
		c.Found = messages.Size(free) + " free"
	}
	return c
}
