package registry

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Config says how registries are spoken to.
type Config struct {
	DockerConfig string       // folder of the config.json with the registries' logins; "" for none
	CAFile       string       // authorities of registries, in PEM, beside the system's; "" for none
	PlainHTTP    []string     // registries without TLS, HOST:PORT; one on a loopback or private address needs none
	Rules        *reach.Rules // to which addresses registries may lead; nil for those that are the zero value
}

// FieldError is an error about a field of a Config.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *FieldError) Unwrap() error { return e.Err }

// Client asks registries. It is safe for concurrent use.
type Client struct {
	config    Config
	transport *http.Transport

	mu    sync.Mutex
	hosts map[string]docker.RegistryHost // by registry; none after an error, so that a changed login counts
}

// New makes a client. It reads the authorities; logins are read as they are needed. Its errors are *FieldError.
func New(c Config) (*Client, error) {
	for _, host := range c.PlainHTTP {
		if _, err := name.NewRegistry(host, name.StrictValidation); err != nil || strings.Contains(host, "/") {
			return nil, &FieldError{"PlainHTTP", fmt.Errorf("a registry that speaks plain HTTP, %q: give HOST:PORT, as images' names have it", host)}
		}
	}
	client := &Client{config: c, transport: remote.DefaultTransport.(*http.Transport), hosts: map[string]docker.RegistryHost{}}
	if c.CAFile == "" {
		return client, nil
	}
	pool, err := registries.Authorities(c.CAFile)
	if err != nil {
		return nil, &FieldError{"RegistryCAFile", fmt.Errorf("the registries' CA file %s: %w", c.CAFile, err)}
	}
	own := remote.DefaultTransport.(*http.Transport).Clone()
	own.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	client.transport = own
	return client, nil
}

// tag reads a source as a Dockerfile means it: a name with a tag.
func (c *Client) tag(source string) (name.Tag, error) {
	ref, err := name.NewTag(source)
	if err == nil && slices.Contains(c.config.PlainHTTP, ref.RegistryStr()) {
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
	way := registries.NewWay(server, c.transport, c.config.Rules)
	client := way.Client(way)
	if tag.Scheme() == "http" {
		client = way.Client(docker.NewHTTPFallback(way))
	}
	logins := registries.Logins{Folder: c.config.DockerConfig}
	all, err := docker.ConfigureDefaultRegistries(docker.WithClient(client), docker.WithAuthorizer(logins.Authorizer(client)))(registry)
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
