package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// Config says which engine to use and how.
type Config struct {
	// Host is the engine's address, such as unix:///var/run/docker.sock. Where it is empty,
	// DOCKER_HOST and the variables beside it say which, or it is the local one.
	Host string
	// DockerConfig is the folder of the config.json with the registries' logins for pulls;
	// "" for none. It is read at each pull, so that a changed login counts at once.
	DockerConfig string
	// Transport reaches the registries whose manifests are read before a pull; nil for one that has the
	// engine's certificates.
	Transport http.RoundTripper
}

// Engine is a Docker engine. Make it with New.
type Engine struct {
	options   []client.Opt
	gate      *gate
	opened    atomic.Pointer[client.Client]
	logins    logins
	transport http.RoundTripper    // to registries, or nil
	contents  distributor.Contents // for an engine that is fed instead of pulling, or nil

	looking sync.Mutex // held while a manifest is read

	mu     sync.Mutex
	kept   []store                     // where the engine keeps images, if it is on this machine
	layers map[string][]string         // of the images that it has, by their IDs
	wanted *remoteImage                // whose manifest was read last, or nil
	lists  *bool                       // whether containerd keeps its images; nil where that is not known
	notes  map[string]distributor.Note // that are images, by their IDs

	agreed   atomic.Bool // opened speaks a version that the engine does, or did
	agreeing sync.Mutex
	speaks   string // the engine's own version of the API then
}

// api is the engine's client.
func (e *Engine) api() *client.Client { return e.opened.Load() }

// agree has the client speak a version of the API that the engine does. One that was updated, or replaced by an older
// one, may not know the version that was agreed on with its predecessor.
func (e *Engine) agree(ctx context.Context) error {
	e.agreeing.Lock()
	defer e.agreeing.Unlock()
	c := e.api()
	is, err := c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return err
	}
	if e.agreed.Load() && e.speaks != is.APIVersion {
		if c, err = client.New(e.options...); err != nil {
			return err
		}
		if is, err = c.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
			return err
		}
		e.opened.Store(c) // calls under way go on
	}
	e.speaks = is.APIVersion
	e.agreed.Store(true)
	return nil
}

// version is that of the API that the engine and its client have agreed on.
func (e *Engine) version(ctx context.Context) (string, error) {
	if !e.agreed.Load() {
		if err := e.agree(ctx); err != nil {
			return "", err
		}
	}
	return e.api().ClientVersion(), nil
}

var _ distributor.Engine = (*Engine)(nil)

// FieldError tells which field of Config can't be used as it is, so that a caller can say which of
// its settings to change.
type FieldError struct {
	Field string // its name in Config
	Err   error
}

// Error is Err's text.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// New makes a client for an engine, which need not be up yet: the API version is agreed on at
// the first call. Logins that can't be read are refused now, by a *FieldError.
func New(c Config) (*Engine, error) {
	options := []client.Opt{client.FromEnv}
	if c.Host != "" {
		options = append(options, client.WithHost(c.Host))
	}
	direct, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("address %q of the Docker engine: %w; name it as unix:///PATH or tcp://HOST:PORT", c.Host, err)
	}
	g := newGate(direct)
	options = []client.Opt{
		client.WithAPIVersionFromEnv(), client.WithHost(direct.DaemonHost()),
		client.WithHTTPClient(&http.Client{Transport: g, CheckRedirect: client.CheckRedirect}),
	}
	api, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("address %q of the Docker engine: %w", c.Host, err)
	}
	e := &Engine{options: options, gate: g, logins: logins{c.DockerConfig}, transport: c.Transport}
	e.opened.Store(api)
	if _, err := e.logins.read(); err != nil {
		return nil, &FieldError{"DockerConfig", err}
	}
	return e, nil
}

// Close ends the client's idle connections.
func (e *Engine) Close() error {
	e.gate.next.CloseIdleConnections()
	return nil
}

// Info tells the engine's version and ID.
func (e *Engine) Info(ctx context.Context) (messages.Engine, error) {
	if err := e.agree(ctx); err != nil {
		return messages.Engine{}, e.fault(ctx, "asking for the version", err)
	}
	v, err := e.api().ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return messages.Engine{}, e.fault(ctx, "asking for the version", err)
	}
	e.mu.Lock()
	e.lists, e.kept = nil, nil // a restarted engine may keep its images elsewhere
	e.mu.Unlock()
	out := messages.Engine{Name: "docker", Version: v.Version, API: e.gate.known()}
	if info, err := e.api().Info(ctx, client.InfoOptions{}); err == nil { // without an ID it is no other's
		out.ID = info.Info.ID
	}
	return out, nil
}

// Images lists all images, those with a digest and no tag included.
func (e *Engine) Images(ctx context.Context) ([]distributor.Image, error) {
	list, err := e.api().ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fault(ctx, "listing images", err)
	}
	out := make([]distributor.Image, 0, len(list.Items))
	sort := imageOf
	if e.isBefore(apiDigests) {
		sort = stackedImage
	}
	for _, i := range list.Items {
		if !isNote(i.RepoTags) {
			out = append(out, sort(i.ID, i.RepoDigests, i.RepoTags))
		}
	}
	return out, nil
}

// Containers lists all containers but those of trials.
func (e *Engine) Containers(ctx context.Context) ([]distributor.Container, error) {
	list, err := e.api().ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, e.fault(ctx, "listing containers", err)
	}
	out := make([]distributor.Container, 0, len(list.Items))
	for _, c := range list.Items {
		if _, trial := c.Labels[labelTrial]; trial {
			continue
		}
		name := c.ID
		if len(c.Names) > 0 {
			name = strings.TrimPrefix(c.Names[0], "/")
		}
		out = append(out, distributor.Container{
			Name: name, Image: c.Image, ImageID: c.ImageID, Running: c.State == container.StateRunning,
		})
	}
	return out, nil
}

// Watch follows the engine's events.
func (e *Engine) Watch(ctx context.Context, changed func()) error {
	filters := client.Filters{}.Add("type", "image", "volume").Add("event", "delete", "untag", "create", "destroy")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The stream sends nothing until something happens, and the client reports a refused
	// connection in the same channel as a lost one: a ping tells that it is there.
	if _, err := e.api().Ping(ctx, client.PingOptions{}); err != nil {
		return e.fault(ctx, "watching", err)
	}
	events := e.api().Events(ctx, client.EventsListOptions{Filters: filters})
	changed()
	for {
		select {
		case <-events.Messages:
			changed()
		case err := <-events.Err:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return fmt.Errorf("%w: it closed the connection", distributor.ErrEngine)
			}
			return e.fault(ctx, "watching", err)
		}
	}
}
