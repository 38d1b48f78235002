package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
)

// broker is the NATS server of `fenceline up`, with one user who may do anything, for roles
// that run alone.
type broker struct {
	dir          string
	passwordFile string
	password     messages.Secret
	nats         *standalone.NATS
}

const brokerUser = "bench"

func startBroker(ctx context.Context, o options) (*broker, error) {
	b := &broker{password: messages.NewSecret(messages.NewID() + messages.NewID())}
	var err error
	if b.dir, err = os.MkdirTemp(o.dir, "bench-"); err != nil {
		return nil, fmt.Errorf("making a state folder: %w", err)
	}
	b.passwordFile = filepath.Join(b.dir, "password")
	if err := os.WriteFile(b.passwordFile, []byte(b.password.Reveal()), 0o600); err != nil {
		return nil, fmt.Errorf("writing the password: %w", err)
	}
	b.nats, err = standalone.StartNATS(ctx, standalone.NATSConfig{
		Address: "127.0.0.1:0", StoreDir: filepath.Join(b.dir, "nats"), Logger: zerolog.Nop(),
		Users: []standalone.User{{Name: brokerUser, Password: b.password, Publish: []string{">"}, Subscribe: []string{">"}}},
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

func (b *broker) close() error {
	b.nats.Stop()
	return os.RemoveAll(b.dir)
}

// connect connects over the network, as a role that runs alone does, and declares the
// streams under a prefix.
func (b *broker) connect(ctx context.Context, prefix string) (*queue.Client, error) {
	space, err := messages.NewSpace(prefix)
	if err != nil {
		return nil, err
	}
	c, err := queue.Connect(ctx, queue.Options{
		URL: b.nats.URL(), User: brokerUser, Password: b.password, Space: space, Name: "bench", Source: "/fenceline/bench", Logger: zerolog.Nop(),
	})
	if err != nil {
		return nil, err
	}
	if err := store.Declare(ctx, c, store.Layout{}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// role starts a role of the program that runs alone.
func (b *broker) role(program, name string, args ...string) (*site.Process, error) {
	return site.Start(site.Program{Path: program, Args: append([]string{
		"run", name, "--nats", b.nats.URL(), "--user", brokerUser, "--password-file", b.passwordFile,
	}, args...)})
}

// stopTimeout bounds the end of a role.
const stopTimeout = 20 * time.Second
