package queue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	// answerTime bounds the wait for one answer of the server, within the caller's context.
	answerTime = 5 * time.Second
	// reconnectWait is the pause between attempts to reach the server again.
	reconnectWait = 250 * time.Millisecond
	// pingInterval finds a connection that is dead without having been closed: two pings
	// without an answer end it.
	pingInterval = 10 * time.Second
	// closeTime bounds Close.
	closeTime = 2 * time.Second
)

// InProcess is a NATS server in this process, such as *server.Server.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Options say how to reach NATS and as whom.
type Options struct {
	URL             string    // nats://HOST:PORT; several, comma-separated, for a cluster
	InProcess       InProcess // when set, URL is not used
	Name            string    // of the connection, for people who look at the server
	User            string
	Password        messages.Secret
	CredentialsFile string         // a NATS .creds file, instead of User and Password
	CAFile          string         // certificate authority of the server, in place of the system's
	CertFile        string         // the client's certificate in PEM, where the server asks for one; read at each connection
	KeyFile         string         // the private key of CertFile, in PEM
	Space           messages.Space // the installation's part of the account
	Source          string         // CloudEvents source of what this client sends, such as /fenceline/ROLE/NAME
	InboxPrefix     string         // of the inboxes that answers come to; "" means _INBOX
	Asks            bool           // it may make no consumers, and asks for messages; else that is found out where the server refuses one
	Observer        Observer       // is told of each request to the server; nil for nobody
	Logger          zerolog.Logger
}

// Client is a connection to NATS. It reconnects for ever; while the connection is down
// operations fail with ErrUnavailable, nothing is kept back to be sent later. It is safe for
// concurrent use.
type Client struct {
	nc        *nats.Conn
	js        jetstream.JetStream
	lossy     lossy
	uploads   uploads
	space     messages.Space
	source    string
	inbox     string
	log       zerolog.Logger
	observer  Observer
	denied    denials
	passed    passed
	newer     newerFields
	noInfo    atomic.Bool   // the credential may not ask whether JetStream is up
	asks      atomic.Bool   // the credential may not make consumers, and asks for messages
	way       diagnosis.Way // as what and how it connects, to say what is wrong
	outages   outages
	listening atomic.Int64 // how often it was asked to look whether answers can come, since that began
	mu        sync.Mutex
	upAgain   chan struct{} // closed at the next reconnect
	closed    chan struct{} // closed when the connection is closed for good
	closeNow  sync.Once
}

func (o Options) way() diagnosis.Way {
	server := "the server in this process"
	if o.InProcess == nil {
		server = diagnosis.Redact(o.URL)
	}
	return diagnosis.Way{
		Server: server, User: o.User, CredentialsFile: o.CredentialsFile, CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile,
	}
}

// Connect reaches NATS once, and says what is wrong where it can't: ErrUnavailable where
// trying again can help, ErrForbidden where the server refuses the credential.
func Connect(ctx context.Context, o Options) (*Client, error) {
	if o.Source == "" {
		return nil, errors.New("connecting to NATS: the source of its messages is missing: set Options.Source")
	}
	if o.URL == "" && o.InProcess == nil {
		return nil, errors.New("connecting to NATS: no address: give a URL such as nats://127.0.0.1:4222")
	}
	c := &Client{
		space: o.Space, source: o.Source, inbox: o.InboxPrefix, log: o.Logger, observer: o.Observer,
		way: o.way(), upAgain: make(chan struct{}), closed: make(chan struct{}),
	}
	c.asks.Store(o.Asks)
	if err := c.way.Check(time.Now()); err != nil {
		return nil, fmt.Errorf("connecting to NATS at %s: %w", c.way.Server, err)
	}
	if c.inbox == "" {
		c.inbox = nats.InboxPrefix[:len(nats.InboxPrefix)-1]
	}
	nc, err := dial(ctx, o.URL, c.dialOptions(ctx, o))
	if err != nil {
		return nil, connectError(c.way, err)
	}
	c.nc = nc
	if c.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(answerTime)); err == nil {
		err = c.lossy.open(nc, func(err error) { _ = c.refused(classify(err)) })
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("using JetStream at %s: %w", nc.ConnectedUrlRedacted(), err)
	}
	c.listening.Store(1)
	if err := c.hears(ctx); err != nil {
		nc.Close()
		return nil, connectError(c.way, err)
	}
	if c.listening.Swap(0) > 1 {
		go c.hearsStill() //nolint:gosec // it outlives the connecting
	}
	return c, nil
}

func (c *Client) dialOptions(ctx context.Context, o Options) []nats.Option {
	timeout := answerTime
	if d, ok := ctx.Deadline(); ok {
		timeout = min(timeout, max(time.Until(d), time.Millisecond))
	}
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(timeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait/2, reconnectWait/2),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		// What can't be sent now fails now: a kept-back acknowledgement would be sent past
		// the lease it belongs to.
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
		nats.PermissionErrOnSubscribe(true),
		nats.SyncQueueLen(2 * askMost), // instead of half a megabyte for each question: the answer to one has no more messages
		nats.CustomInboxPrefix(c.inbox),
		nats.ErrorHandler(c.asyncError),
		nats.DisconnectErrHandler(c.disconnected),
		nats.ReconnectHandler(c.reconnected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.outages.failed(err) }),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password.Reveal()))
	}
	if o.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(o.CredentialsFile))
	}
	if o.CAFile != "" {
		opts = append(opts, nats.RootCAs(o.CAFile))
	}
	if o.CertFile != "" {
		opts = append(opts, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	return opts
}

// dial connects, but returns when ctx ends.
func dial(ctx context.Context, url string, opts []nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(url, opts...)
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// Close waits a moment for what is on its way and closes the connection.
func (c *Client) Close() {
	c.closeNow.Do(func() {
		late := time.NewTimer(closeTime)
		defer late.Stop()
		if c.nc.IsConnected() {
			select {
			case <-c.lossy.js.PublishAsyncComplete():
			case <-late.C:
			}
		}
		c.nc.Close()
	})
	<-c.closed
}

// Ready tells whether the server is reached and its JetStream answers. A credential that may
// not ask the latter is ready when the server answers.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if !c.nc.IsConnected() {
		if err := c.outage(c.nc); err != nil {
			return fmt.Errorf("NATS: %w: not connected, trying again all the time: %w", ErrUnavailable, err)
		}
		return fmt.Errorf("NATS: %w: not connected, trying again all the time", ErrUnavailable)
	}
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("NATS at %s: %w", c.nc.ConnectedUrlRedacted(), c.refused(classify(err)))
	}
	if err := c.deafness(); err != nil {
		return fmt.Errorf("NATS at %s: %w", c.nc.ConnectedUrlRedacted(), err)
	}
	if c.noInfo.Load() {
		return nil
	}
	err := c.checkJetStream(ctx)
	if errors.Is(err, ErrForbidden) {
		c.noInfo.Store(true)
		return nil
	}
	if err != nil {
		return fmt.Errorf("JetStream at %s: %w", c.nc.ConnectedUrlRedacted(), err)
	}
	return nil
}

// Space is the installation's part of the account.
func (c *Client) Space() messages.Space { return c.space }

// Logger is where the client logs.
func (c *Client) Logger() *zerolog.Logger { return &c.log }

// Connected tells whether the server is reached.
func (c *Client) Connected() bool { return c.nc.IsConnected() }

// MaxPayload is the size, in bytes, that the server takes of a message at the most.
func (c *Client) MaxPayload() int64 { return c.nc.MaxPayload() }

// ask sends a request and waits for the answer, or for the news that it is not allowed.
func (c *Client) ask(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	return c.askMsg(ctx, &nats.Msg{Subject: subject, Data: body})
}

func (c *Client) askMsg(ctx context.Context, m *nats.Msg) (answer *nats.Msg, err error) {
	began := time.Now()
	defer func() { c.observe(began, err) }()
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.deafness(); err != nil {
		return nil, err
	}
	ctx, done := c.denied.guard(ctx, m.Subject)
	defer done()
	answer, err = c.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return answer, nil
}

// answered calls what waits for one answer of the server: nats.go waits for it as long as ctx lasts, where that has a
// deadline, and a server that is started again has forgotten what it was asked.
func answered[T any](ctx context.Context, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return call(ctx)
}

// counted is answered, and has the answer counted. Its errors are not classified.
func counted[T any](ctx context.Context, c *Client, call func(context.Context) (T, error)) (T, error) {
	began := time.Now()
	got, err := answered(ctx, call)
	if err != nil {
		c.observe(began, c.failure(ctx, err))
		return got, err
	}
	c.observe(began, nil)
	return got, nil
}

// stream looks a stream up.
func (c *Client) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	return counted(ctx, c, func(ctx context.Context) (jetstream.Stream, error) { return c.js.Stream(ctx, name) })
}

// known looks a durable consumer up.
func (c *Client) known(ctx context.Context, stream, durable string) (jetstream.Consumer, error) {
	return counted(ctx, c, func(ctx context.Context) (jetstream.Consumer, error) { return c.js.Consumer(ctx, stream, durable) })
}

// failure classifies the error of an operation that ran under ctx: the reason why ctx ended
// says more than that it did.
func (c *Client) failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.Canceled) || errors.Is(cause, ErrForbidden) || errors.Is(cause, ErrLeaseLost) {
			return cause
		}
	}
	return classify(err)
}

// Reconnected returns a channel that is closed when the connection is there again the next time.
func (c *Client) Reconnected() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upAgain
}

func (c *Client) disconnected(nc *nats.Conn, err error) {
	if err != nil {
		c.log.Warn().Err(err).Msg("connection to NATS lost, trying again all the time")
	}
	c.outages.failed(nil)
	go c.followOutage(nc, c.Reconnected())
}

func (c *Client) reconnected(nc *nats.Conn) {
	c.log.Info().Str("server", nc.ConnectedUrlRedacted()).Msg("connected to NATS again")
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.upAgain)
	c.upAgain = make(chan struct{})
	go c.hearsStill()
}

func (c *Client) asyncError(_ *nats.Conn, sub *nats.Subscription, err error) {
	switch {
	case diagnosis.IsRefusal(err): // said by followOutage, not for each try
		return
	case errors.Is(err, nats.ErrPermissionViolation) && c.ownInbox(err):
		go c.hearsStill()
		return
	case errors.Is(err, nats.ErrPermissionViolation) && c.denied.report(err):
		return // who asked says so
	}
	if errors.Is(err, nats.ErrPermissionViolation) { // nobody waited for an answer
		_ = c.refused(classify(err))
	}
	e := c.log.Warn().Err(err)
	if sub != nil {
		e = e.Str("subject", sub.Subject)
	}
	e.Msg("NATS reported an error")
}

// Pause waits, and reports whether ctx is still alive.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
