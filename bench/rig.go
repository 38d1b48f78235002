package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// hookSecret signs the webhooks of a rig's pipelines, which nobody else can reach.
const hookSecret = "a secret of this run alone"

// fleet keeps a rig's images in the Docker engine apart from those of others.
const fleet = "bench"

// startTimeout bounds the start of everything on one machine.
const startTimeout = 2 * time.Minute

// rig is a `fenceline up`, or roles that run apart, with a git server and a base image.
type rig struct {
	options
	site.Fenceline
	up         *site.Process // or the producer
	git        *site.GitServer
	config     string // fenceline.yaml
	listen     string // of the producer
	url        string // of the producer
	registry   string
	secretFile string
	lines      <-chan site.Line
	stop       context.CancelFunc
	flags      []string // more of up

	watchFailure func() error
}

// start starts a `fenceline up`, with more flags where some are given. The pipelines are named as their
// repositories; the one called fed feeds the fleet.
func start(ctx context.Context, o options, pipelines []string, fed string, flags ...string) (*rig, error) {
	ctx, stop := context.WithCancel(ctx)
	r := &rig{options: o, stop: stop, flags: flags}
	err := r.prepare(pipelines, fed, "")
	if err == nil {
		err = r.start(ctx)
	}
	if err != nil {
		if r.up != nil {
			err = fmt.Errorf("%w\n%s", err, r.up.Tail(15))
		}
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// prepare makes what all rigs have but the processes of fenceline. Policy is the fleet's, in YAML.
func (r *rig) prepare(pipelines []string, fed, policy string) (err error) {
	if r.dir, err = os.MkdirTemp(r.dir, "bench-"); err != nil {
		return fmt.Errorf("making a state folder: %w", err)
	}
	r.Fenceline = site.Fenceline{Program: r.program, State: filepath.Join(r.dir, "state")}
	if r.git, err = site.ServeGit("127.0.0.1:0", filepath.Join(r.dir, "git")); err != nil {
		return err
	}
	for _, address := range []*string{&r.registry, &r.listen} {
		if *address, err = site.Address("127.0.0.1:0"); err != nil {
			return err
		}
	}
	r.url = "http://" + r.listen
	return r.configure(pipelines, fed, policy)
}

func (r *rig) start(ctx context.Context) (err error) {
	r.up, err = site.Start(site.Program{Path: r.program, Args: append([]string{
		"up", "--state", r.State, "--config", r.config, "--listen", r.listen, "--registry-listen", r.registry, "--console-listen", "127.0.0.1:0",
		"--nats-listen", "127.0.0.1:0", "--fleet", fleet, "--buildkitd", filepath.Join(r.tools, "buildkitd"),
	}, r.flags...), Env: r.environment()})
	if err != nil {
		return err
	}
	return r.started(ctx)
}

// environment is this process's own, with the tools on its path.
func (r *rig) environment() []string {
	return append(os.Environ(), "PATH="+r.tools+":"+os.Getenv("PATH"))
}

// started waits until the rig is ready, and gives it its base image.
func (r *rig) started(ctx context.Context) error {
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := site.Ready(ready, r.up, r.url); err != nil {
		return fmt.Errorf("waiting for fenceline: %w", err)
	}
	err := r.pushBase(ctx)
	if err == nil {
		r.lines, r.watchFailure, err = r.Watch(ctx)
	}
	return err
}

// configure writes fenceline.yaml and the webhooks' secret.
func (r *rig) configure(pipelines []string, fed, policy string) error {
	r.secretFile = filepath.Join(r.dir, "hook.secret")
	var yaml strings.Builder
	yaml.WriteString("version: 1\npipelines:\n")
	for _, p := range pipelines {
		fmt.Fprintf(&yaml, "  - name: %s\n    repository: %s/%s.git\n    image: %s/bench/%s\n", p, r.git.URL, p, r.registry, p)
		fmt.Fprintf(&yaml, "    build_args: {BASE: %q}\n    webhook: {secret_file: hook.secret}\n", r.base())
		if p == fed {
			fmt.Fprintf(&yaml, "    fleets: [{name: %s, rollout: {%s}}]\n", fleet, policy)
		}
	}
	r.config = filepath.Join(r.dir, "fenceline.yaml")
	return errors.Join(
		os.WriteFile(r.secretFile, []byte(hookSecret), 0o600),
		os.WriteFile(r.config, []byte(yaml.String()), 0o600),
	)
}

func (r *rig) base() string { return r.registry + "/bench/base:latest" }

func (r *rig) pushBase(ctx context.Context) error {
	layer, err := site.BusyboxLayer(filepath.Join(filepath.Dir(r.tools), "base", "busybox"), nil)
	if err != nil {
		return err
	}
	password, err := os.ReadFile(filepath.Join(r.State, "secrets", "registry"))
	if err != nil {
		return fmt.Errorf("reading the registry's password: %w", err)
	}
	_, err = site.PushBase(ctx, r.base(), layer, site.Login{User: "fenceline", Password: strings.TrimSpace(string(password))})
	return err
}

// repository makes a repository with a Dockerfile and a hook.
func (r *rig) repository(ctx context.Context, name, dockerfile string) (*site.Repository, error) {
	repo, err := r.git.Repository(ctx, name)
	if err != nil {
		return nil, err
	}
	return repo, repo.Write(map[string]string{
		"Dockerfile":        "ARG BASE\nFROM ${BASE}\n" + dockerfile + "ADD hooks /etc/stackato/hooks\n",
		"hooks/pre-running": "#!/bin/sh\nexport BENCH=1\n",
		"seed":              "0",
	})
}

// commit commits and pushes with a seed of its own, and returns the commit.
func (r *rig) commit(ctx context.Context, repo *site.Repository, seed string) (string, error) {
	if err := repo.Write(map[string]string{"seed": seed}); err != nil {
		return "", err
	}
	commit, err := repo.Commit(ctx, "bench")
	if err != nil {
		return "", err
	}
	_, err = repo.Push(ctx)
	return commit, err
}

// send sends the webhook of a push, and returns the build that it started.
func (r *rig) send(ctx context.Context, repository, commit string) (string, error) {
	a, err := site.PushHook(hookSecret, repository, "refs/heads/main", commit).Send(ctx, r.url)
	if err == nil && (a.Status != http.StatusAccepted || len(a.Builds) != 1 || a.Builds[0].Duplicate) {
		err = fmt.Errorf("a webhook is answered with %+v, where one new build was expected", a)
	}
	if err != nil {
		return "", err
	}
	return a.Builds[0].Build, nil
}

// await waits for a line that matches.
func (r *rig) await(ctx context.Context, match func(site.Line) bool) (site.Line, error) {
	for {
		select {
		case l, ok := <-r.lines:
			if !ok {
				return l, errors.Join(errors.New("fenceline watch has ended"), r.watchFailure())
			}
			if l.Step != "" {
				fmt.Fprintf(r.log, "bench:   %s %s %s\n", l.Time.Format("05.000"), l.Step, l.Build)
			}
			if match(l) {
				return l, nil
			}
		case <-r.up.Done():
			return site.Line{}, fmt.Errorf("fenceline ended:\n%s", r.up.Tail(15))
		case <-ctx.Done():
			return site.Line{}, fmt.Errorf("waiting for a step: %w\n%s", context.Cause(ctx), r.up.Tail(15))
		}
	}
}

// buildctl builds a commit by hand and pushes it. It returns the image.
func (r *rig) buildctl(ctx context.Context, repo *site.Repository, commit string) (string, error) {
	client, err := r.Client()
	if err != nil {
		return "", err
	}
	name := r.registry + "/bench/by-hand"
	metadata := filepath.Join(r.dir, "metadata.json")
	cmd := exec.CommandContext(ctx, filepath.Join(r.tools, "buildctl"), "--addr", client.Buildkit,
		"build", "--progress", "plain", "--frontend", "dockerfile.v0", "--opt", "context="+repo.URL+"#"+commit,
		"--opt", "build-arg:BASE="+r.base(), "--output", "type=image,name="+name+":latest,push=true", "--metadata-file", metadata)
	cmd.Env = append(os.Environ(), "DOCKER_CONFIG="+filepath.Join(r.State, "docker-config"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("buildctl: %w\n%s", err, bytes.TrimSpace(out))
	}
	b, err := os.ReadFile(metadata)
	if err != nil {
		return "", fmt.Errorf("reading what buildctl built: %w", err)
	}
	_, digest, ok := strings.Cut(string(b), `"containerimage.digest": "`)
	if !ok {
		return "", fmt.Errorf("buildctl named no digest: %s", b)
	}
	digest, _, _ = strings.Cut(digest, `"`)
	return name + "@" + digest, nil
}

// close ends everything and removes what it left.
func (r *rig) close() error {
	r.stop()
	var errs []error
	if r.up != nil {
		errs = append(errs, r.up.Stop(30*time.Second))
	}
	if r.git != nil {
		errs = append(errs, r.git.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, reference := range []string{"fenceline.local/*/" + fleet, r.registry + "/bench/*"} {
		ids, err := site.Docker(ctx, "image", "ls", "--quiet", "--filter", "reference="+reference)
		if err == nil && strings.TrimSpace(ids) != "" {
			_, err = site.Docker(ctx, append([]string{"image", "rm", "--force"}, unique(strings.Fields(ids))...)...)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

func unique(in []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, s := range in {
		if !seen[s] {
			out, seen[s] = append(out, s), true
		}
	}
	return out
}
