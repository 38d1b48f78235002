package producer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/suggest"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"
)

// Queue is where build requests are kept.
type Queue interface {
	// Request stores a build request; when it returns nil, the request is durable.
	Request(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error)
	// RequestHead is Request for a branch's head that nobody told of; what was built already is a duplicate.
	RequestHead(ctx context.Context, r *messages.BuildRequested, traceparent string) (builds.Accepted, error)
	// Refs has the branches and tags, by their full names, of which a pipeline has builds that are still known, with the
	// newest one's commit.
	Refs(ctx context.Context, pipeline string) (map[string]string, error)
	// Sweep finishes what crashed workers left and clears requests that are dealt with.
	Sweep(ctx context.Context) (builds.SweepReport, error)
	// Ready tells what is wrong with the queue, or nil.
	Ready(ctx context.Context) error
}

var _ Queue = (*builds.Queue)(nil)

// DefaultSweepInterval is the time between sweeps where none is configured.
const DefaultSweepInterval = 30 * time.Second

// Config is what a producer needs.
type Config struct {
	Pipelines     *Pipelines
	Queue         Queue
	APIToken      messages.Secret // of POST /v1/builds; the zero value switches it off
	SecretsDir    string          // has the pipelines' repository tokens, by name
	Rules         *reach.Rules    // what the pipelines' repositories may be; nil for those that are the zero value
	SweepInterval time.Duration   // 0 means DefaultSweepInterval
	// LookInterval is the time between looks whether the pipeline file has changed; 0 means DefaultLookInterval.
	LookInterval time.Duration
	Logger       zerolog.Logger
}

// Producer accepts webhooks and calls.
type Producer struct {
	inForce       atomic.Pointer[inForce]
	file          watchedFile
	heads         headsSeen
	queue         Queue
	token         messages.Secret
	secretsDir    string
	rules         *reach.Rules
	sweepInterval time.Duration
	storeTimeout  time.Duration
	headPause     time.Duration // after a look at a head that fails, the first time
	log           zerolog.Logger
	now           func() time.Time
	room          *semaphore.Weighted // for bodies of more than firstBytes
	asks          *semaphore.Weighted // of repositories, what a push changed
	handler       http.Handler
}

// New makes a producer. Errors name the field that is missing.
func New(c Config) (*Producer, error) {
	switch {
	case c.Pipelines == nil:
		return nil, errors.New("making a producer: Pipelines is missing: load them with LoadPipelines")
	case c.Queue == nil:
		return nil, errors.New("making a producer: Queue is missing: connect one with queue.Connect")
	case c.SweepInterval < 0:
		return nil, fmt.Errorf("making a producer: SweepInterval %v is negative", c.SweepInterval)
	case c.LookInterval < 0:
		return nil, fmt.Errorf("making a producer: LookInterval %v is negative", c.LookInterval)
	}
	p := &Producer{
		queue: c.Queue, token: c.APIToken, secretsDir: c.SecretsDir, rules: c.Rules,
		sweepInterval: c.SweepInterval, storeTimeout: storeTimeout, headPause: headFirstPause,
		log: c.Logger, now: time.Now, room: semaphore.NewWeighted(roomBytes), asks: semaphore.NewWeighted(asksAtOnce),
	}
	if p.sweepInterval == 0 {
		p.sweepInterval = DefaultSweepInterval
	}
	p.file.begin(c.LookInterval)
	p.heads.changed, p.heads.pipelines = make(chan struct{}, 1), map[string]*declared{}
	p.force(c.Pipelines)
	p.handler = p.routes()
	return p, nil
}

// Handler serves POST /hooks/FORGE, POST /v1/builds, GET /v1/pipelines, GET /healthz and GET /readyz.
func (p *Producer) Handler() http.Handler { return p.handler }

func (p *Producer) routes() http.Handler {
	mux := http.NewServeMux()
	for _, f := range forges() {
		mux.Handle("POST /hooks/"+f.name(), &hooks{Producer: p, forge: f, keys: func() *keyring { return p.inForce.Load().keys[f.name()] }})
	}
	mux.HandleFunc("POST /hooks/", func(w http.ResponseWriter, r *http.Request) {
		known := forgeNames()
		name := strings.TrimPrefix(r.URL.Path, "/hooks/")
		w.Header().Set("Connection", "close") // the body is not worth reading
		if other, ok := otherForgeCalled(name); ok {
			refuse(http.StatusNotFound, "%s", other).write(w)
			return
		}
		refuse(http.StatusNotFound, "there is no forge %q%s (known: %s)", clip(name), suggest.DidYouMean(name, known), strings.Join(known, ", ")).write(w)
	})
	mux.HandleFunc("POST /v1/builds", p.builds)
	mux.HandleFunc("GET /v1/pipelines", p.servePipelines)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, health{OK: true})
	})
	mux.HandleFunc("GET /readyz", p.readyz)
	elsewhere(mux)
	return mux
}

// elsewhere answers what none of the routes takes, as they answer: in JSON, with what to do.
func elsewhere(mux *http.ServeMux) {
	for path, method := range map[string]string{
		"/hooks/": http.MethodPost, "/v1/builds": http.MethodPost, "/v1/pipelines": http.MethodGet, "/healthz": http.MethodGet, "/readyz": http.MethodGet,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", method)
			w.Header().Set("Connection", "close")
			refuse(http.StatusMethodNotAllowed, "%s takes %s, not %s", clip(r.URL.Path), method, clip(r.Method)).write(w)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		refuse(http.StatusNotFound, "there is nothing at %q: webhooks go to /hooks/FORGE, calls to /v1/builds", clip(r.URL.Path)).write(w)
	})
}

// health is the answer of /healthz and /readyz.
type health struct {
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

const (
	readyTimeout = 5 * time.Second
	// sweepTimeout is far above any sweep, so that one that hangs is given up.
	sweepTimeout = 5 * time.Minute
)

func (p *Producer) readyz(w http.ResponseWriter, r *http.Request) {
	if err := p.Ready(r.Context()); err != nil {
		writeJSON(w, http.StatusServiceUnavailable, health{Problem: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, health{OK: true})
}

// Ready tells whether requests can be stored now; else what is wrong.
func (p *Producer) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := p.queue.Ready(ctx); err != nil {
		return fmt.Errorf("the producer can't store build requests: %w", err)
	}
	return nil
}

// Run looks at the heads of branches, follows the pipeline file, and sweeps the queue from time to time until ctx ends, and then
// returns nil. Intervals vary by a fifth, so that producers don't sweep in step.
func (p *Producer) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { p.followHeads(ctx) })
	beside.Go(func() { p.followFile(ctx) })
	for {
		wait := time.Duration(float64(p.sweepInterval) * (0.8 + 0.4*rand.Float64()))
		if !queue.Pause(ctx, wait) {
			return nil
		}
		p.sweep(ctx)
	}
}

func (p *Producer) sweep(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	if report, err := p.queue.Sweep(bounded); err == nil {
		p.log.Debug().Interface("report", report).Msg("swept")
	} else if ctx.Err() == nil {
		p.log.Error().Err(err).Msg("sweeping the queue: it is tried again")
	}
}
