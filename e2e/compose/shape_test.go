package compose

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go/modules/compose"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/freeport"
)

const (
	// patience bounds every wait for something that should take seconds.
	patience = 90 * time.Second
	// lease is how long a builder's claim and the acting controller's lease last here.
	lease = 3 * time.Second
	// beat is the time between a node's heartbeats.
	beat = time.Second
)

// shape is a running compose.yaml and what surrounds it.
type shape struct {
	site.Fenceline

	project   string
	dir       string
	secret    string            // of the webhooks
	addresses map[string]string // by the variables of their ports
	servers   []string          // URLs of the NATS servers
	stack     *compose.DockerCompose
	git       *site.GitServer
	repo      *site.Repository
	records   *records
	ledger    ledger
	told      []string // what judge could not judge
}

// The only pipeline and the only fleet.
const (
	pipeline = "base"
	fleet    = "production"
)

// sharedShape is one that the tests of a single server share, started by the first.
type sharedShape struct {
	once  sync.Once
	shape *shape
	err   error
}

var shared sharedShape

func (s *sharedShape) get(t *testing.T) *shape {
	t.Helper()
	s.once.Do(func() { s.shape, s.err = start(running, mark, 1) })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.shape
}

func (s *sharedShape) end() {
	if s.shape != nil {
		if err := s.shape.end(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e/compose: ending:", err)
		}
	}
}

// start brings compose.yaml up with one NATS server, or the cluster's three.
func start(ctx context.Context, project string, servers int) (*shape, error) {
	return startWith(ctx, project, servers, nil)
}

// startWith is start with more variables, and with profiles.
func startWith(ctx context.Context, project string, servers int, env map[string]string, profiles ...string) (*shape, error) {
	s := &shape{project: project, dir: filepath.Join(work, project), addresses: map[string]string{}}
	s.Program, s.State = program(), filepath.Join(s.dir, "credentials")
	if err := s.prepare(ctx, servers); err != nil {
		return nil, err
	}
	files := []string{filepath.Join(root, "compose.yaml")}
	if servers > 1 {
		files = append(files, filepath.Join(root, "compose.cluster.yaml"))
	}
	var err error
	if s.stack, err = compose.NewDockerComposeWith(compose.StackIdentifier(project), compose.WithStackFiles(files...), compose.WithProfiles(profiles...)); err != nil {
		return nil, fmt.Errorf("reading compose.yaml: %w", err)
	}
	all := s.environment()
	maps.Copy(all, env)
	if err := s.stack.WithEnv(all).Up(ctx, compose.Wait(true)); err != nil {
		return s, fmt.Errorf("starting compose.yaml: %w", errors.Join(err, s.end()))
	}
	if err := s.pushBase(ctx); err != nil {
		return s, errors.Join(err, s.end())
	}
	if s.records, err = readRecords(s); err != nil {
		return s, errors.Join(err, s.end())
	}
	return s, nil
}

// The ports of compose.yaml, by the variables that move them.
var (
	natsPorts = []string{"FENCELINE_NATS_PORT", "FENCELINE_NATS_2_PORT", "FENCELINE_NATS_3_PORT"}
	ports     = append([]string{"FENCELINE_PORT", "FENCELINE_REGISTRY_PORT"}, natsPorts...)
)

func (s *shape) environment() map[string]string {
	env := map[string]string{
		"FENCELINE_CREDENTIALS": s.State, "FENCELINE_CONFIG": filepath.Join(s.dir, "fenceline.yaml"),
		"FENCELINE_ACK_WAIT": lease.String(), "FENCELINE_LEASE_TTL": lease.String(), "FENCELINE_INTERVAL": beat.String(),
		"FENCELINE_NODE_TTL": (3 * beat).String(),
	}
	for _, name := range ports {
		_, env[name], _ = net.SplitHostPort(s.addresses[name])
	}
	return env
}

// prepare writes what compose.yaml is given by file, and serves the repository.
func (s *shape) prepare(ctx context.Context, servers int) error {
	for _, name := range ports {
		var err error
		if s.addresses[name], err = s.address(); err != nil {
			return err
		}
	}
	for _, name := range natsPorts[:servers] {
		s.servers = append(s.servers, "tls://"+s.addresses[name])
	}
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "compose"), "credentials", s.State)
	cmd.Env = append(site.Environment(), "NODES=3")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("writing credentials: %w: %s", err, out)
	}
	secret, err := os.ReadFile(filepath.Join(s.State, "hook.secret"))
	if err != nil {
		return err
	}
	s.secret = strings.TrimSpace(string(secret))
	if err := os.WriteFile(filepath.Join(s.State, "secrets", "licence"), []byte("2d5e-9a41"), 0o644); err != nil {
		return err
	}
	if err := s.addReader(); err != nil {
		return err
	}
	host, err := bridge(ctx)
	if err != nil {
		return err
	}
	repositories := filepath.Join(s.dir, "git")
	if err := os.MkdirAll(repositories, 0o755); err != nil {
		return err
	}
	if s.git, err = site.ServeGit(net.JoinHostPort(host, "0"), repositories); err != nil {
		return err
	}
	if s.repo, err = s.git.Repository(ctx, pipeline); err != nil {
		return err
	}
	return errors.Join(s.writeClient(), s.writePipeline())
}

// address is a free one on this machine that stays so: a container that is started again needs its port again.
func (s *shape) address() (string, error) {
	for {
		address, err := freeport.Of("127.0.0.1")
		if err != nil || !slices.Contains(slices.Collect(maps.Values(s.addresses)), address) {
			return address, err
		}
	}
}

// bridge is this machine's address for containers: that of the engine's own bridge, which an engine
// that was started for the first time does not tell as the network's gateway.
func bridge(ctx context.Context) (string, error) {
	name, err := site.Docker(ctx, "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.bridge.name"}}`)
	if err != nil {
		return "", err
	}
	i, err := net.InterfaceByName(strings.TrimSpace(name))
	if err != nil {
		return "", fmt.Errorf("looking for the engine's bridge %q on this machine: %w", strings.TrimSpace(name), err)
	}
	addresses, err := i.Addrs()
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil {
			return network.IP.String(), nil
		}
	}
	return "", errors.Join(fmt.Errorf("%s has no address of IPv4", i.Name), err)
}

func (s *shape) producer() string { return "http://" + s.addresses["FENCELINE_PORT"] }

func (s *shape) nats() string { return strings.Join(s.servers, ",") }

// writeClient tells the commands where everything is.
func (s *shape) writeClient() error {
	return os.WriteFile(filepath.Join(s.State, "client.json"), fmt.Appendf(nil,
		`{"nats": %q, "user": "operator", "password_file": %q, "ca_file": %q, "producer": %q, "token_file": %q}`,
		s.nats(), filepath.Join(s.State, "operator"), filepath.Join(s.State, "tls", "ca.pem"), s.producer(), filepath.Join(s.State, "api-token")), 0o600)
}

func (s *shape) writePipeline() error {
	return os.WriteFile(filepath.Join(s.dir, "fenceline.yaml"), fmt.Appendf(nil, `version: 1
pipelines:
  - name: %s
    repository: %s
    image: registry:5000/exampleco/%s
    build_args: {BASE: "registry:5000/base/busybox:latest"}
    attempts: 20
    webhook: {secret_file: /run/secrets/hook_secret}
    secrets: [licence]
    fleets: [{name: %s, rollout: {canaries: 1, quorum: 100%%, trial: {timeout: 30s}}}]
`, pipeline, s.repo.URL, pipeline, fleet), 0o644)
}

// pushBase puts the base of all images into the registry, by way of this machine's engine,
// which doesn't ask a registry on loopback for a certificate that it knows.
func (s *shape) pushBase(ctx context.Context) error {
	layer, err := site.BusyboxLayer(filepath.Join(root, ".fenceline", "base", "busybox"), nil)
	if err != nil {
		return err
	}
	opened, err := layer.Open()
	if err != nil {
		return err
	}
	files, err := opened.Uncompressed()
	if err != nil {
		return err
	}
	defer files.Close()
	registry := s.addresses["FENCELINE_REGISTRY_PORT"]
	image := registry + "/base/busybox:latest"
	password, err := os.Open(filepath.Join(s.State, "registry", "builder", "password"))
	if err != nil {
		return err
	}
	defer password.Close()
	for _, step := range []struct {
		in   io.Reader
		args []string
	}{
		{files, []string{"import", "--change", "ENV PATH=/bin", "--change", "LABEL " + ofRun + "=" + mark, "-", image}},
		{password, []string{"login", "--username", "builder", "--password-stdin", registry}},
		{nil, []string{"push", "--quiet", image}},
		{nil, []string{"image", "rm", image}},
	} {
		cmd := exec.CommandContext(ctx, "docker", append([]string{"--config", filepath.Join(s.dir, "docker")}, step.args...)...)
		cmd.Stdin = step.in
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("pushing the base: docker %s: %w: %s", step.args[0], err, out)
		}
	}
	return nil
}

// end ends everything and removes its volumes.
func (s *shape) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.records != nil {
		s.records.close()
	}
	err := s.stack.Down(ctx, compose.RemoveOrphans(true), compose.RemoveVolumes(true))
	if err != nil && strings.Contains(err.Error(), "has active endpoints") {
		// Docker 20.10 may count an endpoint that is gone until it is started anew (moby/moby#43286). The next run removes the network.
		containers, failed := site.Docker(ctx, "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project="+s.project)
		if failed == nil && strings.TrimSpace(containers) == "" {
			err = nil
		}
	}
	return errors.Join(s.git.Close(), err)
}

// onFailure shows the end of every log if the test fails.
func (s *shape) onFailure(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		names, err := site.Docker(ctx, "ps", "--all", "--filter", "label=com.docker.compose.project="+s.project, "--format", "{{.Names}}")
		if err != nil {
			t.Log(err)
		}
		for name := range strings.FieldsSeq(names) {
			out, err := site.Docker(ctx, "logs", "--tail", "25", name)
			t.Logf("the end of %s's log (%v):\n%s", name, err, out)
		}
	})
}

// quick is an image source that is built in no time and whose image nothing else has.
func quick() map[string]string {
	release := rand.Text()
	return map[string]string{
		"Dockerfile":        "ARG BASE\nFROM ${BASE}\nADD hooks /etc/stackato/hooks\n",
		"hooks/pre-running": "#!/bin/sh\nexport EXAMPLECO_RELEASE=" + release + "\nexport STACKATO_HOOK_ENV=EXAMPLECO_RELEASE\n",
	}
}

// with is quick with more lines in its Dockerfile.
func with(lines string) map[string]string {
	files := maps.Clone(quick())
	files["Dockerfile"] += lines
	return files
}

// slow takes a while to build, large a while to push and to pull.
func slow() map[string]string {
	return with("RUN --mount=type=secret,id=licence,required sleep 4 && test -s /run/secrets/licence && echo " + rand.Text() + "\n")
}
func large() map[string]string {
	return with("RUN head -c 60000000 /dev/urandom >/large && echo " + rand.Text() + "\n")
}
