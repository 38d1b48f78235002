package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the one driver that is used
	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
)

// Who may use the embedded registry.
const (
	RegistryUser   = "fenceline" // may push and pull
	RegistryReader = "node"      // may pull
)

// The names of their passwords among the state folder's secrets.
const (
	registrySecret       = "registry"
	registryReaderSecret = "registry-node"
)

// RegistryConfig says how the embedded registry runs. All fields are needed.
type RegistryConfig struct {
	Address  string          // HOST:PORT to listen on; port 0 takes a free one
	Dir      string          // where it keeps what is pushed
	Password messages.Secret // of RegistryUser
	Reader   messages.Secret // password of RegistryReader
	Logger   zerolog.Logger
}

// Registry is a running registry. Everything in it needs a login, and a push one of its own: whoever
// overwrites the tag of a base has his files in the fleet's next image.
type Registry struct {
	app     *handlers.App
	server  *http.Server
	cancel  context.CancelFunc
	address string
	failed  chan error
}

// StartRegistry starts a registry and returns when it listens. A *ListenError tells that it
// can't have its address.
func StartRegistry(c RegistryConfig) (*Registry, error) {
	if c.Password.IsZero() || c.Reader.IsZero() {
		return nil, errors.New("starting the registry: a password is missing: everybody could push or pull")
	}
	listener, err := Listen(ServiceRegistry, c.Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	app, err := newRegistryApp(ctx, c)
	var room *Room
	if err == nil {
		room, err = newRoom(c.Dir, "", c.Logger)
	}
	if err != nil {
		cancel()
		listener.Close()
		return nil, err
	}
	r := &Registry{app: app, cancel: cancel, address: listener.Addr().String(), failed: make(chan error, 1)}
	r.server = &http.Server{
		Handler:           withTokens(c.Password, c.Reader, withRoom(room, c.Logger, app)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	go func() {
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			r.failed <- fmt.Errorf("serving the registry on %s: %w", r.address, err)
		}
	}()
	return r, nil
}

// newRegistryApp makes the handler. What its constructor panics with becomes an error.
func newRegistryApp(ctx context.Context, c RegistryConfig) (app *handlers.App, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("starting the registry over %s: %v", c.Dir, cause)
		}
	}()
	if err := checkWritable(c.Dir); err != nil {
		return nil, fmt.Errorf("starting the registry: %w", err)
	}
	config := &configuration.Configuration{Storage: configuration.Storage{
		"filesystem": {"rootdirectory": c.Dir},
		"delete":     {"enabled": true},
		"cache":      {"blobdescriptor": "inmemory"},
	}}
	config.Catalog.MaxEntries = 1000
	config.HTTP.Secret = string(deriveKey(c.Password, "upload state"))
	config.HTTP.RelativeURLs = true // clients have names of their own for this machine
	return handlers.NewApp(ctx, config), nil
}

// Address is the HOST:PORT it listens on, the first part of its images' names.
func (r *Registry) Address() string { return r.address }

// Failed delivers the error that ends the registry while it should run.
func (r *Registry) Failed() <-chan error { return r.failed }

// Stop lets pushes and pulls under way finish until ctx ends, then breaks them off, which is no error: who
// pushes or pulls does it again.
func (r *Registry) Stop(ctx context.Context) error {
	err := r.server.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		err = r.server.Close()
	}
	if err != nil {
		err = fmt.Errorf("stopping the registry: %w", err)
	}
	r.cancel()
	return errors.Join(err, r.app.Shutdown())
}

// Listen listens on address for a service. The error is a *ListenError.
func Listen(s Service, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, &ListenError{s, address, err}
	}
	return l, nil
}
