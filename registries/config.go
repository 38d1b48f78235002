package registries

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/log"
	"github.com/fenceline/fenceline/reach"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/sirupsen/logrus"
)

// Config says how registries are spoken to.
type Config struct {
	DockerConfig string       // folder of the config.json with the registries' logins; "" for none
	CAFile       string       // authorities of registries, in PEM, beside the system's; "" for none
	PlainHTTP    []string     // registries without TLS, HOST:PORT; one on a loopback or private address needs none
	Rules        *reach.Rules // to which addresses registries may lead; nil for those that are the zero value
}

// FieldError is an error about a field of a Config, by the name of its setting.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is the error itself.
func (e *FieldError) Unwrap() error { return e.Err }

// Speaker speaks to registries. It is safe for concurrent use.
type Speaker struct {
	config    Config
	transport *http.Transport
}

// NewSpeaker reads the authorities; logins are read as they are needed. Its errors are *FieldError.
func NewSpeaker(c Config) (*Speaker, error) {
	for _, host := range c.PlainHTTP {
		if _, err := name.NewRegistry(host, name.StrictValidation); err != nil || strings.Contains(host, "/") {
			return nil, &FieldError{"PlainHTTP", fmt.Errorf("a registry that speaks plain HTTP, %q: give HOST:PORT, as images' names have it", host)}
		}
	}
	s := &Speaker{c, remote.DefaultTransport.(*http.Transport)}
	if c.CAFile == "" {
		return s, nil
	}
	pool, err := Authorities(c.CAFile)
	if err != nil {
		return nil, &FieldError{"RegistryCAFile", fmt.Errorf("the registries' CA file %s: %w", c.CAFile, err)}
	}
	s.transport = s.transport.Clone()
	s.transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return s, nil
}

// PlainHTTP tells whether a registry was named as one without TLS.
func (s *Speaker) PlainHTTP(registry string) bool {
	return slices.Contains(s.config.PlainHTTP, registry)
}

// Hosts is how containerd's client speaks to a registry, with a login or a token that it keeps. Server is its host as requests have it.
func (s *Speaker) Hosts(server string, plain bool) docker.RegistryHosts {
	way := NewWay(server, s.transport, s.config.Rules)
	client := way.Client(way)
	if plain {
		client = way.Client(docker.NewHTTPFallback(way))
	}
	logins := Logins{Folder: s.config.DockerConfig}
	return docker.ConfigureDefaultRegistries(docker.WithClient(client), docker.WithAuthorizer(logins.Authorizer(client)))
}

// Quietly keeps containerd from logging each answer that isn't a yes: that is told by its error.
func Quietly(ctx context.Context) context.Context {
	return log.WithLogger(ctx, &log.Entry{Logger: &logrus.Logger{Out: io.Discard, Formatter: new(logrus.JSONFormatter), Hooks: make(logrus.LevelHooks), Level: logrus.PanicLevel}})
}
