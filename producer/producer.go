package producer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/metrics"
	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/tracing"
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
	// newest one of each, and ForgetRefs drops those that are not kept.
	Refs(ctx context.Context, pipeline string) (map[string]builds.Newest, error)
	ForgetRefs(pipeline string, kept func(ref string) bool)
	// Stored finds the request of a build by its ID; queue.ErrNotFound where there is none.
	Stored(ctx context.Context, build string) (builds.Accepted, error)
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
	Tokens        []Token       // of calls; without any there are none
	Audit         AuditLog      // nil: no audit events are kept
	Calls         KeptCalls     // where calls with an Idempotency-Key are known; nil: they are refused
	SecretsDir    string        // has the pipelines' repository tokens, by name
	Polls         *SharedPolls  // what producers share of polls; nil: this one polls by itself, and forgets what it saw
	Bases         Bases         // the zero value has no base followed
	Rules         *reach.Rules  // what the pipelines' repositories may be; nil for those that are the zero value
	SweepInterval time.Duration // 0 means DefaultSweepInterval
	// LookInterval is the time between looks whether the pipeline file has changed; 0 means DefaultLookInterval.
	LookInterval time.Duration
	// Files tells others of a pipeline file that can't be used.
	Files *FileTeller
	// Schedules and Clock are what producers share of schedules. Without them none has anything built.
	Schedules Schedules
	Clock     Clock
	// Forwarding says which proxies are believed whom they pass requests on for.
	Forwarding Forwarding
	// RepositoryLimit is how many builds a second may be asked for of one repository in the long run; 0 means any number.
	RepositoryLimit int
	// Certificate is the one that its server shows, or nil: Run follows its files, and File tells of it.
	Certificate *Certificate
	Metrics     *metrics.Producer // nil for none
	Tracer      *tracing.Tracer   // nil: nothing is traced
	Logger      zerolog.Logger
}

// Producer accepts webhooks and calls.
type Producer struct {
	inForce       atomic.Pointer[inForce]
	file          watchedFile
	files         *FileTeller
	polls         *SharedPolls
	changed       chan struct{} // has one when other pipelines came into force, for who polls
	schedules     schedules
	certificate   *Certificate
	bases         *baseFollower // nil where no base is followed
	queue         Queue
	tracer        *tracing.Tracer
	tokens        []Token
	audit         *auditor
	calls         KeptCalls
	secretsDir    string
	rules         *reach.Rules
	sweepInterval time.Duration
	storeTimeout  time.Duration
	pollPause     time.Duration // after a look at a repository that fails, the first time
	keyPause      time.Duration
	metrics       *metrics.Producer
	log           zerolog.Logger
	now           func() time.Time
	room          *bodyRoom // for bodies of more than firstBytes
	repositories  *limiter
	addresses     *addresses
	decoding      *semaphore.Weighted // of payloads of more than muchToDecode
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
	case (c.Schedules == nil) != (c.Clock == nil):
		return nil, errors.New("making a producer: Schedules and Clock are given together or not at all")
	case c.SweepInterval < 0:
		return nil, fmt.Errorf("making a producer: SweepInterval %v is negative", c.SweepInterval)
	case c.LookInterval < 0:
		return nil, fmt.Errorf("making a producer: LookInterval %v is negative", c.LookInterval)
	}
	if err := checkTokens(c.Tokens); err != nil {
		return nil, fmt.Errorf("making a producer: %w", err)
	}
	if c.RepositoryLimit < 0 {
		return nil, fmt.Errorf("making a producer: RepositoryLimit %d is negative", c.RepositoryLimit)
	}
	if err := c.Forwarding.check(); err != nil {
		return nil, err
	}
	if c.Metrics != nil {
		c.Queue = countedQueue{c.Queue, c.Metrics}
	}
	p := &Producer{
		metrics: c.Metrics, queue: tracedQueue{c.Queue, c.Tracer}, tracer: c.Tracer, tokens: c.Tokens, calls: c.Calls, secretsDir: c.SecretsDir, rules: c.Rules, certificate: c.Certificate,
		sweepInterval: c.SweepInterval, storeTimeout: storeTimeout, keyPause: keyPause, pollPause: pollFirstPause, polls: c.Polls, files: c.Files, changed: make(chan struct{}, 1),
		log: c.Logger, now: time.Now, room: newBodyRoom(roomBytes),
		repositories: newLimiter(float64(c.RepositoryLimit), float64(c.RepositoryLimit*repositoryBurst)), addresses: newAddresses(), decoding: semaphore.NewWeighted(1),
		asks: semaphore.NewWeighted(asksAtOnce),
	}
	if p.sweepInterval == 0 {
		p.sweepInterval = DefaultSweepInterval
	}
	p.audit = newAuditor(c.Audit, c.Logger, time.Now)
	p.file.begin(c.LookInterval)
	p.schedules.begin(c.Schedules, c.Clock)
	p.force(c.Pipelines)
	p.tell()
	if c.Bases != (Bases{}) {
		p.bases = newBaseFollower(p, c.Bases)
	}
	p.handler = c.Forwarding.Behind(atCleanPath(p.mux()))
	return p, nil
}

// Handler serves what APIDocument describes.
func (p *Producer) Handler() http.Handler { return p.handler }

// health is the answer of /healthz and /readyz.
type health struct {
	OK      bool   `json:"ok" doc:"whether all is well"`
	Problem string `json:"problem,omitempty" doc:"what is wrong, and what mends it"`
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

// Run polls repositories, follows schedules and the pipeline file, and sweeps the queue from time to time until ctx ends, and then
// returns nil. Intervals vary by a fifth, so that producers don't sweep in step.
func (p *Producer) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { p.poll(ctx) })
	beside.Go(func() { p.followFile(ctx) })
	beside.Go(func() { p.tellFile(ctx) })
	beside.Go(func() { p.followSchedules(ctx) })
	beside.Go(func() { p.audit.run(ctx) })
	if p.certificate != nil {
		beside.Go(func() { p.certificate.Run(ctx) })
	}
	if p.bases != nil {
		beside.Go(func() { p.bases.run(ctx) })
	}
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
