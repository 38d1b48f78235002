package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/standalone"
)

// apart is a rig whose roles run apart, each as a process of the program: a producer, two
// builders, two controllers and the distributor of one node. NATS, which syncs every write, the
// registry and buildkitd are processes of their own too.
type apart struct {
	*rig
	nats      *site.Process
	natsArgs  []string
	roles     map[string]*site.Process
	args      map[string][]string // of the roles
	servers   []*site.Process     // the others
	buildkits []string            // addresses
}

// startApart starts one with a pipeline, which feeds the fleet under a policy unless that is "".
// The builders share one buildkitd or have one each.
func startApart(ctx context.Context, o options, pipeline, policy string, buildkits int) (*apart, error) {
	ctx, stop := context.WithCancel(ctx)
	a := &apart{rig: &rig{options: o, stop: stop}, roles: map[string]*site.Process{}}
	fed := ""
	if policy != "" {
		fed = pipeline
	}
	err := a.prepare([]string{pipeline}, fed, policy)
	if err == nil {
		err = a.startServers(ctx, buildkits)
	}
	if err == nil {
		err = a.startRoles(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// startServers starts what the roles need, and writes down how it is reached.
func (a *apart) startServers(ctx context.Context, buildkits int) error {
	s, err := standalone.OpenState(a.State)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	natsAddress, err := site.Address("127.0.0.1:0")
	if err != nil {
		return err
	}
	for range buildkits {
		if err := a.startBuildkitd(); err != nil {
			return err
		}
	}
	for _, name := range []string{serverNATS, serverRegistry} {
		if _, err := s.Secret(name); err != nil {
			return err
		}
	}
	password, err := s.Secret(serverRegistry)
	if err != nil {
		return err
	}
	if _, err := s.WriteDockerConfig("docker-config", a.registry, standalone.RegistryUser, password); err != nil {
		return err
	}
	a.natsArgs = []string{serveWord, serverNATS, natsAddress, filepath.Join(a.dir, "nats"), s.SecretFile(serverNATS)}
	registry, err := a.serve([]string{serveWord, serverRegistry, a.registry, filepath.Join(a.dir, "registry"), s.SecretFile(serverRegistry)})
	if err != nil {
		return err
	}
	a.servers = append(a.servers, registry)
	if err := s.WriteClient(standalone.Client{
		NATS: "nats://" + natsAddress, User: brokerUser, PasswordFile: s.SecretFile(serverNATS), Prefix: messages.DefaultPrefix,
		Producer: a.url, Registry: a.registry, Buildkit: a.buildkits[0],
	}); err != nil {
		return err
	}
	return a.startNATS()
}

// serve starts one of this program's servers.
func (a *apart) serve(args []string) (*site.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if err := os.MkdirAll(args[3], 0o700); err != nil {
		return nil, fmt.Errorf("making a server's folder: %w", err)
	}
	return site.Start(site.Program{Path: self, Args: args})
}

// startNATS starts NATS on its store, again if it was there before.
func (a *apart) startNATS() (err error) {
	a.nats, err = a.serve(a.natsArgs)
	return err
}

func (a *apart) startBuildkitd() error {
	dir := filepath.Join(a.dir, fmt.Sprintf("bk%d", len(a.buildkits)+1))
	address := "unix://" + filepath.Join(dir, "s")
	p, err := site.Start(site.Program{Path: filepath.Join(a.tools, "buildkitd"), Args: []string{
		"--root", filepath.Join(dir, "root"), "--addr", address, "--otel-socket-path", filepath.Join(dir, "otel.sock"),
		"--config", "/dev/null", "--containerd-worker=false", "--oci-worker=true", "--oci-worker-net=host",
		"--oci-worker-binary", filepath.Join(a.tools, "runc"),
	}, Env: a.environment()})
	if err != nil {
		return err
	}
	a.servers, a.buildkits = append(a.servers, p), append(a.buildkits, address)
	return nil
}

// startRoles starts the roles, and waits until all are ready.
func (a *apart) startRoles(ctx context.Context) error {
	logins := filepath.Join(a.State, "docker-config")
	last := len(a.buildkits) - 1
	a.args = map[string][]string{
		"producer":     {"producer", "--config", a.config, "--listen", a.listen},
		"controller-1": {"controller", "--name", "controller-1"},
		"controller-2": {"controller", "--name", "controller-2"},
		"builder-1":    {"builder", "--name", "builder-1", "--docker-config", logins, "--buildkit", a.buildkits[0]},
		"builder-2":    {"builder", "--name", "builder-2", "--docker-config", logins, "--buildkit", a.buildkits[last]},
		"distributor":  {"distributor", "--fleet", fleet, "--node", "bench", "--docker-config", logins},
	}
	for _, name := range []string{"producer", "controller-1", "controller-2", "builder-1", "builder-2", "distributor"} {
		if err := a.startRole(ctx, name); err != nil {
			return err
		}
	}
	a.up = a.roles["producer"]
	return a.started(ctx)
}

// startRole starts a role, again if it was there before, and waits until it is ready.
func (a *apart) startRole(ctx context.Context, name string) error {
	health, err := site.Address("127.0.0.1:0")
	if err != nil {
		return err
	}
	client, err := standalone.ReadClient(a.State)
	if err != nil {
		return err
	}
	args := slices.Concat([]string{"run"}, a.args[name], []string{
		"--nats", client.NATS, "--user", client.User, "--password-file", client.PasswordFile, "--health-listen", health,
	})
	p, err := site.Start(site.Program{Path: a.program, Args: args})
	if err != nil {
		return err
	}
	a.roles[name] = p
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := site.Ready(ready, p, "http://"+health); err != nil {
		return fmt.Errorf("waiting for %s: %w\n%s", name, err, p.Tail(15))
	}
	return nil
}

// acting is the name of the controller that acts.
func (a *apart) acting() (string, error) {
	for _, name := range []string{"controller-1", "controller-2"} {
		if strings.Contains(a.roles[name].Output(), "lease taken") {
			return name, nil
		}
	}
	return "", errors.New("no controller says that it acts")
}

// close ends everything, the roles first.
func (a *apart) close() error {
	var errs []error
	a.stop()
	for _, p := range a.roles {
		errs = append(errs, p.Stop(stopTimeout))
	}
	for _, p := range append(a.servers, a.nats) {
		if p != nil {
			_ = p.Stop(stopTimeout) // a buildkitd's status is 1 even so
		}
	}
	return errors.Join(append(errs, a.rig.close())...)
}
