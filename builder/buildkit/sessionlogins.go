package buildkit

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	authutil "github.com/containerd/containerd/v2/core/remotes/docker/auth"
	"github.com/docker/cli/cli/config/types"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/util/resolver/retryhandler"
	"google.golang.org/grpc"
)

// sessionLogins gives buildkitd the registries' logins for one build, or tokens of the token servers that registries name: those
// are asked here, in buildkitd's place.
type sessionLogins struct {
	auth.AuthServer
	solver *Solver

	mu   sync.Mutex
	read map[string]types.AuthConfig // by host: a credential helper is a program
	at   time.Time                   // of the oldest
}

// loginAge is for how long a login is good that was read: the tokens of some clouds' helpers end after five minutes.
const loginAge = 4 * time.Minute

// sessionLogins are what a build's session has.
func (s *Solver) sessionLogins() session.Attachable {
	l := &sessionLogins{solver: s}
	of := func(ctx context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
		return l.of(ctx, host)
	}
	inner := authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: of})
	l.AuthServer = inner.(auth.AuthServer)
	return l
}

// Register makes buildkitd's questions come here.
func (l *sessionLogins) Register(server *grpc.Server) { auth.RegisterAuthServer(server, l) }

func (l *sessionLogins) of(ctx context.Context, host string) (types.AuthConfig, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) > loginAge {
		l.read, l.at = map[string]types.AuthConfig{}, time.Now()
	}
	if c, ok := l.read[host]; ok {
		return c, nil
	}
	c, err := l.solver.logins.Of(ctx, host)
	if err == nil {
		l.read[host] = c
	}
	return c, err
}

// shortest is for how long a token is good of which its server doesn't say it, in seconds:
// https://distribution.github.io/distribution/spec/auth/token/
const shortest = 60

// FetchToken asks a registry's token server, by the rules of whom a registry may lead to.
func (l *sessionLogins) FetchToken(ctx context.Context, r *auth.FetchTokenRequest) (*auth.FetchTokenResponse, error) {
	login, err := l.of(ctx, r.GetHost())
	if err != nil {
		return nil, err
	}
	if login.RegistryToken != "" {
		return &auth.FetchTokenResponse{Token: login.RegistryToken, ExpiresIn: shortest}, nil
	}
	registry, err := name.NewRegistry(r.GetHost())
	if err != nil {
		return nil, fmt.Errorf("the registry %q: %w", r.GetHost(), err)
	}
	client := registries.TokenClient(l.solver.registry.open(registry.Repo("any")))
	to := authutil.TokenOptions{Realm: r.GetRealm(), Service: r.GetService(), Scopes: r.GetScopes(), Username: login.Username, Secret: cmp.Or(login.IdentityToken, login.Password)}
	token, err := retryhandler.WithRetry(ctx, nil, func(ctx context.Context) (*auth.FetchTokenResponse, error) {
		return token(ctx, client, to, login.IdentityToken != "")
	})
	if err != nil {
		return nil, fmt.Errorf("asking for a token of %s: %w", r.GetHost(), registries.Led(err))
	}
	return token, nil
}

// token is one question to a token server: by POST with an identity token, else by GET, which all of them answer.
func token(ctx context.Context, client *http.Client, to authutil.TokenOptions, identity bool) (*auth.FetchTokenResponse, error) {
	answer := &auth.FetchTokenResponse{}
	var issued time.Time
	if identity {
		to.Username = ""
		got, err := authutil.FetchTokenWithOAuth(ctx, client, nil, "buildkit-client", to)
		if err != nil {
			return nil, err
		}
		answer.Token, answer.ExpiresIn, issued = got.AccessToken, int64(got.ExpiresInSeconds), got.IssuedAt
	} else {
		got, err := authutil.FetchToken(ctx, client, nil, to)
		if err != nil {
			return nil, err
		}
		answer.Token, answer.ExpiresIn, issued = got.Token, int64(got.ExpiresInSeconds), got.IssuedAt
	}
	answer.ExpiresIn = cmp.Or(answer.ExpiresIn, shortest)
	if !issued.IsZero() {
		answer.IssuedAt = issued.Unix()
	}
	return answer, nil
}
