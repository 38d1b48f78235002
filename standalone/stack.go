package standalone

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
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
	buildkitd *Buildkitd // nil for one of somebody else
	address   string     // of buildkitd
	login     string     // folder of the registry's login
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
	var err error
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
	password, err := c.State.Secret("registry")
	if err != nil {
		return err
	}
	s.registry, err = StartRegistry(RegistryConfig{
		Address: c.Registry, Dir: c.State.Path(partStore), Password: password,
		Logger: c.Logger.With().Str("part", "registry").Logger(),
	})
	if err != nil {
		return err
	}
	s.login, err = c.State.WriteDockerConfig(s.registry.Address(), RegistryUser, password)
	return err
}

func (s *Stack) startBuildkitd(ctx context.Context, c Config) error {
	if strings.Contains(c.Buildkitd, "://") {
		s.address = c.Buildkitd
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("starting buildkitd: it needs root to make containers: run as root, or give the address of a buildkitd that runs already")
	}
	var err error
	s.buildkitd, err = StartBuildkitd(ctx, BuildkitdConfig{
		Program: c.Buildkitd, Runc: c.Runc, Dir: c.State.Path(partBuild),
		LogFile: c.State.Path(partLog, "buildkitd.log"),
		Logger:  c.Logger.With().Str("part", "buildkitd").Logger(),
	})
	if err != nil {
		return err
	}
	s.address = s.buildkitd.Address()
	return nil
}

// NATS is the NATS server, for in-process connections.
func (s *Stack) NATS() *NATS { return s.nats }

// Password is the password of one of the configured users.
func (s *Stack) Password(user string) messages.Secret { return s.passwords[user] }

// RegistryAddress is the HOST:PORT of the registry.
func (s *Stack) RegistryAddress() string { return s.registry.Address() }

// RegistryLogin is the folder with the config.json that has the registry's login.
func (s *Stack) RegistryLogin() string { return s.login }

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
