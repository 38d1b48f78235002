package standalone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/suggest"
)

// Config says what to start. All fields but Runc are needed.
type Config struct {
	State    *State
	NATS     string // HOST:PORT that NATS listens on
	Registry string // HOST:PORT that the registry listens on
	// Buildkitd is the path of a buildkitd, or the address of one that runs already, such as
	// unix:///run/buildkit/buildkitd.sock.
	Buildkitd string
	Runc      string // path, for a buildkitd that is started
	// StepNetwork and StepLimits say what RUN steps of such a buildkitd reach and use.
	StepNetwork StepNetwork
	StepLimits  BuildLimits
	Program     string // this program, for the plugin of a network of steps; it has to call ServePlugin
	// Users of NATS, or accounts and their users. Their passwords come from the state folder's secrets,
	// by name.
	Users    []User
	Accounts []store.Account
	Logger   zerolog.Logger
}

// Stack is the servers that run beside the roles.
type Stack struct {
	state     *State
	nats      *NATS
	registry  *Registry
	buildkitd *Buildkitd    // nil for one of somebody else
	network   *BuildNetwork // nil where steps share the machine's
	address   string        // of buildkitd
	login     string        // folder of the registry's login for pushes
	pulls     string        // and of that for pulls
	passwords map[string]messages.Secret
}

// stackStop bounds how long pushes under way are waited for.
const stackStop = 10 * time.Second

// Start starts NATS, the registry and buildkitd, in this order, and returns when all take
// connections. When one can't start, those before it are stopped again. The state folder
// stays the caller's to close.
func Start(ctx context.Context, c Config) (*Stack, error) {
	s := &Stack{state: c.State, passwords: map[string]messages.Secret{}}
	if err := s.start(ctx, c); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, c Config) error {
	users := make([]User, len(c.Users))
	for i, u := range c.Users {
		password, err := c.State.Secret(u.Name)
		if err != nil {
			return err
		}
		s.passwords[u.Name] = password
		u.Password = password
		users[i] = u
	}
	for _, a := range c.Accounts {
		for _, u := range a.Users {
			password, err := c.State.Secret(u.Name)
			if err != nil {
				return err
			}
			s.passwords[u.Name] = password
		}
	}
	// Before the streams are an account's: a binary of the layout before would find none, and begin anew.
	err := c.State.writeLayout()
	if err != nil {
		return err
	}
	s.nats, err = StartNATS(ctx, NATSConfig{
		Address: c.NATS, StoreDir: c.State.Path(partNATS), Users: users, Accounts: c.Accounts, Passwords: s.passwords,
		Logger: c.Logger.With().Str("part", "nats").Logger(),
	})
	if err != nil {
		return err
	}
	if err := s.startRegistry(c); err != nil {
		return err
	}
	return s.startBuildkitd(ctx, c)
}

func (s *Stack) startRegistry(c Config) error {
	password, err := c.State.Secret(registrySecret)
	if err != nil {
		return err
	}
	reader, err := c.State.Secret(registryReaderSecret)
	if err != nil {
		return err
	}
	s.registry, err = StartRegistry(RegistryConfig{
		Address: c.Registry, Dir: c.State.Path(partStore), Password: password, Reader: reader,
		Logger: c.Logger.With().Str("part", "registry").Logger(),
	})
	if err != nil {
		return err
	}
	if s.login, err = c.State.WriteDockerConfig(partDocker, s.registry.Address(), RegistryUser, password); err != nil {
		return err
	}
	s.pulls, err = c.State.WriteDockerConfig(partPulls, s.registry.Address(), RegistryReader, reader)
	return err
}

// IsAddress tells the address of a buildkitd that runs from the path of one to start.
func IsAddress(buildkitd string) bool { return strings.Contains(buildkitd, "://") }

func (s *Stack) startBuildkitd(ctx context.Context, c Config) error {
	if IsAddress(c.Buildkitd) {
		s.address = c.Buildkitd
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("starting buildkitd: it needs root to make containers: run as root, or give the address of a buildkitd that runs already")
	}
	if err := s.makeNetwork(ctx, c); err != nil {
		return err
	}
	err := s.startOwnBuildkitd(ctx, c)
	if err != nil && s.network != nil && c.StepNetwork == NetworkAuto && ctx.Err() == nil {
		c.Logger.Warn().Err(err).Msg(sharedNetwork)
		if err = s.removeNetwork(); err == nil {
			err = s.startOwnBuildkitd(ctx, c)
		}
	}
	if err != nil {
		return err
	}
	s.address = s.buildkitd.Address()
	return nil
}

func (s *Stack) startOwnBuildkitd(ctx context.Context, c Config) (err error) {
	s.buildkitd, err = StartBuildkitd(ctx, BuildkitdConfig{
		Program: c.Buildkitd, Runc: c.Runc, Dir: c.State.Path(partBuild),
		LogFile: c.State.Path(partLog, "buildkitd.log"),
		Network: s.network, Limits: c.StepLimits,
		Logger: c.Logger.With().Str("part", "buildkitd").Logger(),
	})
	return err
}

// StepNetwork says what network RUN steps have.
type StepNetwork string

// The networks that steps can have.
const (
	NetworkAuto StepNetwork = "auto" // their own where the machine can give them one
	NetworkOwn  StepNetwork = "own"  // their own, or no start
	NetworkHost StepNetwork = "host" // the machine's, loopback included
)

// ParseStepNetwork reads the name of one.
func ParseStepNetwork(text string) (StepNetwork, error) {
	known := []string{string(NetworkAuto), string(NetworkOwn), string(NetworkHost)}
	if !slices.Contains(known, text) {
		return "", fmt.Errorf("%q is no network of build steps%s (known: %s)", messages.Shorten(text, 100), suggest.DidYouMean(text, known), strings.Join(known, ", "))
	}
	return StepNetwork(text), nil
}

// sharedNetwork is what a machine's owner should know.
const sharedNetwork = "build steps have no network of their own: a RUN reaches what listens on this machine's loopback"

// makeNetwork makes the network of RUN steps, as it is asked for.
func (s *Stack) makeNetwork(ctx context.Context, c Config) (err error) {
	if c.StepNetwork == NetworkHost || c.StepNetwork == "" {
		return nil
	}
	s.network, err = MakeBuildNetwork(ctx, c.State.Path(partBuild, "network"), c.Program)
	if err != nil && c.StepNetwork == NetworkAuto && ctx.Err() == nil {
		c.Logger.Warn().Err(err).Msg(sharedNetwork)
		return nil
	}
	return err
}

func (s *Stack) removeNetwork() error {
	if s.network == nil {
		return nil
	}
	n := s.network
	s.network = nil
	return n.Remove()
}

// NATS is the NATS server, for in-process connections.
func (s *Stack) NATS() *NATS { return s.nats }

// Password is the password of one of the configured users.
func (s *Stack) Password(user string) messages.Secret { return s.passwords[user] }

// RegistryAddress is the HOST:PORT of the registry.
func (s *Stack) RegistryAddress() string { return s.registry.Address() }

// RegistryLogin is the folder with the config.json that has the registry's login for pushes.
func (s *Stack) RegistryLogin() string { return s.login }

// RegistryPulls is the folder with the config.json that has the registry's login for pulls.
func (s *Stack) RegistryPulls() string { return s.pulls }

// BuildkitdAddress is where BuildKit's client connects.
func (s *Stack) BuildkitdAddress() string { return s.address }

// RoomForBuilds tells why no build may write to buildkitd's disk now, or nil: also where that is
// somebody else's.
func (s *Stack) RoomForBuilds() error {
	if s.buildkitd == nil {
		return nil
	}
	return s.nats.room.ForBuilds()
}

// StartBuildkitdAgain ends the buildkitd that is a child, and starts it again.
func (s *Stack) StartBuildkitdAgain() {
	if s.buildkitd != nil {
		s.buildkitd.StartAgain()
	}
}

// Wait returns the error of the first server that fails, or nil when ctx ends. A buildkitd
// that dies is no failure: it is started again; nor is a full disk: NATS waits for room.
func (s *Stack) Wait(ctx context.Context) error {
	select {
	case err := <-s.nats.Failed():
		return err
	case err := <-s.registry.Failed():
		return err
	case <-ctx.Done():
		return nil
	}
}

// Stop stops what was started, last first: whoever still uses it should be done.
func (s *Stack) Stop() error {
	var errs []error
	if s.buildkitd != nil {
		errs = append(errs, s.buildkitd.Stop())
	}
	errs = append(errs, s.removeNetwork())
	if s.registry != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stackStop)
		defer cancel()
		errs = append(errs, s.registry.Stop(ctx))
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	return errors.Join(errs...)
}
