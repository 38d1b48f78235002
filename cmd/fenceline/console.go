package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/console"
	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/imagediff"
	"github.com/fenceline/fenceline/producer"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// consoleConnections bounds the connections of a console: those of all pages that may be open, and as many for everything else.
// Strangers can open any number that do nothing.
const consoleConnections = 8000

// consoleRole is a console with its HTTP server.
type consoleRole struct {
	*console.Console
	listener    net.Listener
	server      *http.Server
	certificate *producer.Certificate // to be read again when it has changed; nil for none, or where somebody else does
	grace       time.Duration
}

var _ role = (*consoleRole)(nil)

// loadProvider finds what is wrong with the settings of an OpenID Connect provider, without asking it; it is nil for none.
func loadProvider(s *settings.OIDC, log zerolog.Logger) (*oidc.Provider, error) {
	if !s.Wanted() {
		return nil, nil
	}
	s.Logger = part(log, settings.RoleConsole)
	return oidc.New(s.Config)
}

// makeConsole makes the role. The certificate of its entry is somebody else's to follow where follow is false.
func makeConsole(s *settings.Console, provider *oidc.Provider, entry *httpEntry, follow bool, grace time.Duration, m means) (*consoleRole, error) {
	log := part(m.log, settings.RoleConsole)
	people, err := followTokens(s.TokensFile, log)
	if err != nil {
		return nil, err
	}
	compare, err := imagediff.New(imagediff.Config{
		Registries: imagediff.Registries{DockerConfig: s.DockerConfig, CAFile: s.Registries.CAFile, PlainHTTP: s.PlainHTTP},
		Hooks:      hooks.Names(), Limits: console.DiffLimits(),
	})
	if err != nil {
		return nil, err
	}
	made, err := console.New(console.Config{Compare: compare, Queue: m.queue, Tokens: people, OIDC: provider, SessionTime: s.SessionTime, Sender: producer.Sender, Keep: producer.Keep, Logger: log})
	if err != nil {
		return nil, err
	}
	server := console.NewServer(entry.forwarding.Behind(made.Handler()), log)
	producer.BoundConnections(server, consoleConnections)
	if entry.certificate != nil {
		server.TLSConfig = entry.certificate.TLS()
	}
	r := &consoleRole{Console: made, listener: entry.listener, server: server, grace: grace}
	if follow {
		r.certificate = entry.certificate
	}
	return r, nil
}

// followTokens follows a file of tokens; "" is none.
func followTokens(path string, log zerolog.Logger) (*tokens.Followed, error) {
	if path == "" {
		return nil, nil
	}
	return tokens.Follow(path, func(err error) {
		if err != nil {
			log.Error().Err(err).Msg("nobody is signed in by a token until the file is right")
		} else {
			log.Info().Msg("the file of tokens is right again")
		}
	})
}

// certificateEnd is when the certificate ends that its server shows; zero where it shows none.
func (r *consoleRole) certificateEnd() time.Time {
	if r.certificate == nil {
		return time.Time{}
	}
	return r.certificate.State().Until
}

// Run serves until ctx ends. Open pages are cut off then: they come again by themselves.
func (r *consoleRole) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Console.Run(ctx) })
	if r.certificate != nil {
		g.Go(func() error { r.certificate.Run(ctx); return nil })
	}
	g.Go(func() error {
		serve := r.server.Serve
		if r.server.TLSConfig != nil {
			serve = func(l net.Listener) error { return r.server.ServeTLS(l, "", "") }
		}
		if err := serve(r.listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving the console on %s: %w", r.listener.Addr(), err)
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		stop, done := context.WithTimeout(context.WithoutCancel(ctx), r.grace)
		defer done()
		if err := r.server.Shutdown(stop); err != nil {
			return r.server.Close()
		}
		return nil
	})
	return g.Wait()
}
