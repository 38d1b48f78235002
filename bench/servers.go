package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/standalone"
	"github.com/rs/zerolog"
)

// serveWord has this program be one of the servers that roles which run apart need: those of
// `fenceline up`, each in a process of its own, which can be killed.
const serveWord = "serve"

// The servers.
const (
	serverNATS     = "nats"
	serverRegistry = "registry"
)

// serve runs a server until ctx ends: its kind, address, folder, and the file of the password
// of the one user who may do anything.
func serve(ctx context.Context, args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("serving %q: want a kind, an address, a folder and a password file", args)
	}
	kind, address, dir := args[0], args[1], args[2]
	password, err := messages.ReadSecret(args[3])
	if err != nil {
		return err
	}
	password = password.Trimmed()
	switch kind {
	case serverNATS:
		n, err := standalone.StartNATS(ctx, standalone.NATSConfig{
			Address: address, StoreDir: dir, Logger: zerolog.Nop(),
			Users: []standalone.User{{Name: brokerUser, Password: password, Publish: []string{">"}, Subscribe: []string{">"}}},
		})
		if err != nil {
			return err
		}
		defer n.Stop()
		return until(ctx, n.Failed())
	case serverRegistry:
		r, err := standalone.StartRegistry(standalone.RegistryConfig{Address: address, Dir: dir, Password: password, Reader: password, Logger: zerolog.Nop()})
		if err != nil {
			return err
		}
		err = until(ctx, r.Failed())
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return errors.Join(err, r.Stop(stop))
	}
	return fmt.Errorf("there is no server %q", kind)
}

// until waits for the end of ctx or a failure.
func until(ctx context.Context, failed <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}
