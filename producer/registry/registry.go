package registry

import (
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
)

// Config says how registries are spoken to.
type Config = registries.Config

// FieldError is an error about a field of a Config.
type FieldError = registries.FieldError

// Client asks registries. It is safe for concurrent use.
type Client struct {
	speaker *registries.Speaker

	mu    sync.Mutex
	hosts map[string]docker.RegistryHost // by registry; none after an error, so that a changed login counts
}

// New makes a client. It reads the authorities; logins are read as they are needed. Its errors are *FieldError.
func New(c Config) (*Client, error) {
	speaker, err := registries.NewSpeaker(c)
	if err != nil {
		return nil, err
	}
	return &Client{speaker: speaker, hosts: map[string]docker.RegistryHost{}}, nil
}

// tag reads a source as a Dockerfile means it: a name with a tag.
func (c *Client) tag(source string) (name.Tag, error) {
	ref, err := name.NewTag(source)
	if err == nil && c.speaker.PlainHTTP(ref.RegistryStr()) {
		return name.NewTag(source, name.Insecure)
	}
	return ref, err
}

// Host is the registry that a source is at, as images' names have it; "" of what is no name with a tag.
func Host(source string) string {
	ref, err := name.NewTag(source)
	if err != nil {
		return ""
	}
	return ref.RegistryStr()
}

// hubName is Docker Hub in images' names.
const hubName = "docker.io"

// host is the registry of a tag, with a client that keeps the tokens that it is given.
func (c *Client) host(tag name.Tag) (docker.RegistryHost, error) {
	registry := tag.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = hubName
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, ok := c.hosts[registry]; ok {
		return h, nil
	}
	server, err := docker.DefaultHost(registry)
	if err != nil {
		return docker.RegistryHost{}, err
	}
	all, err := c.speaker.Hosts(server, tag.Scheme() == "http")(registry)
	if err != nil {
		return docker.RegistryHost{}, err
	}
	c.hosts[registry] = all[0]
	return all[0], nil
}

// forget has the next question read the login anew.
func (c *Client) forget(tag name.Tag) {
	registry := tag.RegistryStr()
	if registry == name.DefaultRegistry {
		registry = hubName
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hosts, registry)
}
