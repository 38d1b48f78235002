package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fenceline/fenceline/console/oidc"
	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// DefaultSessionTime is how long a person stays signed in.
const DefaultSessionTime = 12 * time.Hour

// Config is what a console needs.
type Config struct {
	Queue       *queue.Client
	Tokens      *tokens.Followed // by which people sign in; nil for none
	OIDC        *oidc.Provider   // by which people sign in, too; nil for none
	SessionTime time.Duration    // 0 means DefaultSessionTime
	// Sender is the address that a request is from, which sign-ins are counted by; nil takes the connection's.
	Sender func(*http.Request) string
	// Keep is told of each request of somebody who has signed in: its connection makes way for no stranger's. Nil does nothing.
	Keep   func(context.Context)
	Logger zerolog.Logger
	// Compare compares images for the page that shows how they differ; nil for none.
	Compare Comparer
}

// Console is the web page of an installation.
type Console struct {
	queue    *queue.Client
	tokens   *tokens.Followed
	oidc     *oidc.Provider
	sender   func(*http.Request) string
	keep     func(context.Context)
	log      zerolog.Logger
	seen     *seen
	sessions *sessions
	tries    *tries
	starts   *tries // of sign-ins at the provider
	refused  *tries // of viewers to decide, by person
	viewers  viewers
	makers   makers
	patience time.Duration // with a browser that is to take in what a stream sends
	parts    partCache
	endings  partCache // about builds that have ended
	diffs    *diffs
	lately   lately
	courses  readings[*overview.Course]     // by rollout
	past     readings[[]overview.PastValue] // by fleet
	letters  readings[lettersList]          // by where their page begins
	instance string                         // tells streams of this process from those of an earlier one
	ended    chan struct{}                  // closed when it has ended
}

// New makes a console.
func New(c Config) (*Console, error) {
	if c.Queue == nil {
		return nil, errors.New("making a console: Config.Queue is missing")
	}
	if c.SessionTime < 0 {
		return nil, fmt.Errorf("making a console: SessionTime %s: give more than nothing", c.SessionTime)
	}
	if c.SessionTime == 0 {
		c.SessionTime = DefaultSessionTime
	}
	if c.Sender == nil {
		c.Sender = peer
	}
	if c.Keep == nil {
		c.Keep = func(context.Context) {}
	}
	return &Console{
		queue: c.Queue, tokens: c.Tokens, oidc: c.OIDC, sender: c.Sender, keep: c.Keep, log: c.Logger, seen: newSeen(c.Queue),
		sessions: newSessions(c.SessionTime), tries: newTries(), starts: newTries(), refused: newTries(), makers: newMakers(), patience: streamWrite,
		parts: newPartCache(maxParts), endings: newPartCache(maxEndedParts), courses: readings[*overview.Course]{queue: c.Queue}, past: readings[[]overview.PastValue]{queue: c.Queue},
		letters: readings[lettersList]{queue: c.Queue}, diffs: newDiffs(c.Compare), instance: newKey()[:8], ended: make(chan struct{}),
	}, nil
}

// Run keeps what pages show up to date until ctx ends, once. Open streams end with it.
func (c *Console) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { close(c.ended) })()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return c.seen.run(ctx) })
	if c.oidc != nil {
		all.Go(func() error { return c.oidc.Run(ctx) })
	}
	return all.Wait()
}

// Ready tells whether the console reaches NATS, and has read what it shows.
func (c *Console) Ready(ctx context.Context) error {
	if err := c.queue.Ready(ctx); err != nil {
		return err
	}
	if !c.seen.caught() {
		return errors.New("the console has not read all records yet")
	}
	return nil
}

// Handler serves the pages.
func (c *Console) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /assets/{version}/{name}", assets())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"ok":true}`) })
	mux.HandleFunc("GET /sign-in", c.signInPage)
	mux.HandleFunc("POST /sign-in", c.signIn)
	mux.HandleFunc("GET /sign-in/oidc", c.beginOIDC)
	mux.HandleFunc("GET "+oidc.CallbackPath, c.finishOIDC)
	mux.HandleFunc("GET /enter/{key}", c.enterPage)
	mux.HandleFunc("POST /enter/{key}", c.enter)
	mux.HandleFunc("POST /sign-out", c.signOut)
	mux.Handle("GET /{$}", c.signedIn(c.fleetsPage))
	mux.Handle("GET /events", c.signedIn(c.fleetsEvents))
	mux.Handle("GET /fleets/{fleet}", c.signedIn(c.fleetPage))
	mux.Handle("GET /fleets/{fleet}/events", c.signedIn(c.fleetEvents))
	mux.Handle("GET /fleets/{fleet}/nodes/{node}", c.signedIn(c.nodePage))
	mux.Handle("GET /fleets/{fleet}/nodes/{node}/events", c.signedIn(c.nodeEvents))
	mux.Handle("GET /fleets/{fleet}/history", c.signedIn(c.historyPage))
	mux.Handle("GET /fleets/{fleet}/history/events", c.signedIn(c.historyEvents))
	mux.Handle("GET /fleets/{fleet}/rollouts", c.signedIn(c.rolloutsPage))
	mux.Handle("GET /fleets/{fleet}/rollouts/events", c.signedIn(c.rolloutsEvents))
	mux.Handle("GET /fleets/{fleet}/{action}", c.deciding(fleetAction))
	mux.Handle("POST /fleets/{fleet}/{action}", c.deciding(fleetAction))
	mux.Handle("GET /fleets/{fleet}/nodes/{node}/retire", c.deciding(nodeAction))
	mux.Handle("POST /fleets/{fleet}/nodes/{node}/retire", c.deciding(nodeAction))
	mux.Handle("GET /dead-letters/{letter}/{action}", c.deciding(letterAction))
	mux.Handle("POST /dead-letters/{letter}/{action}", c.deciding(letterAction))
	mux.Handle("GET /rollouts/{rollout}", c.signedIn(c.rolloutPage))
	mux.Handle("GET /rollouts/{rollout}/events", c.signedIn(c.rolloutEvents))
	mux.Handle("GET /rollouts/{rollout}/{action}", c.deciding(rolloutAction))
	mux.Handle("GET /diff", c.signedIn(c.diffPage))
	mux.Handle("POST /rollouts/{rollout}/{action}", c.deciding(rolloutAction))
	mux.Handle("GET /dead-letters", c.signedIn(c.lettersPage))
	mux.Handle("GET /dead-letters/events", c.signedIn(c.lettersEvents))
	mux.Handle("GET /dead-letters/{letter}", c.signedIn(c.letterPage))
	mux.Handle("GET /builds", c.signedIn(c.buildsPage))
	mux.Handle("GET /builds/events", c.signedIn(c.buildsEvents))
	mux.Handle("GET /builds/{build}", c.signedIn(c.buildPage))
	mux.Handle("GET /builds/{build}/events", c.signedIn(c.buildEvents))
	mux.Handle("GET /builds/{build}/{action}", c.deciding(buildAction))
	mux.Handle("POST /builds/{build}/{action}", c.deciding(buildAction))
	mux.Handle("GET /", c.signedIn(func(w http.ResponseWriter, r *http.Request, s *session) {
		c.fail(w, r, s, http.StatusNotFound, "There is no such page.")
	}))
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.log.Warn().Str("from", c.sender(r)).Str("origin", r.Header.Get("Origin")).Str("path", r.URL.Path).Msg("a form of another site was refused")
		c.fail(w, r, nil, http.StatusForbidden, "This form came from another site: nothing was done. Open the console itself, and decide there.")
	}))
	return headers(c.traced(cross.Handler(bounded(mux))))
}
