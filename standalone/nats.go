package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// User is somebody who may connect to NATS, and what for.
type User struct {
	Name      string
	Password  messages.Secret
	Publish   []string // subjects it may publish on
	Subscribe []string // subjects it may subscribe to
}

// NATSConfig says how the embedded NATS server runs. All fields are needed, of Users and Accounts one.
type NATSConfig struct {
	Address  string // HOST:PORT to listen on; port 0 takes a free one
	StoreDir string // where JetStream keeps its files; the caller has locked it
	Logger   zerolog.Logger

	// Who gets in, and nobody else: users of one account, or the accounts of an installation with
	// each user's password.
	Users     []User
	Accounts  []store.Account
	Passwords map[string]messages.Secret

	maxStore int64 // what streams may take together; 0 is a share of what is free
}

// natsStart bounds the start of the server, which reads all that is stored.
const natsStart = time.Minute

// natsMemory bounds what memory buckets hold: heartbeats of some ten thousand nodes.
const natsMemory = 256 << 20

// NATS is a NATS server with JetStream. It is another server after its disk was full.
type NATS struct {
	config NATSConfig
	room   *Room
	failed chan error
	stop   func() // ends the care for it

	mu  sync.Mutex
	now natsServer
	url string
}

// natsServer is a server that runs.
type natsServer struct {
	server *server.Server
	fatal  chan error // what makes it useless
}

// end ends the server, with everything on disk. It may be ended again.
func (s natsServer) end() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// StartNATS starts a server and returns when it takes connections. Each write is synced to
// disk before it is acked. A *ListenError tells that it can't have its address.
func StartNATS(ctx context.Context, c NATSConfig) (*NATS, error) {
	if err := c.adoptStore(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("starting the NATS server: %w", err)
	}
	room, err := newRoom(c.StoreDir, c.StoreDir+".reserve", c.Logger)
	if err != nil {
		return nil, fmt.Errorf("starting the NATS server: %w", err)
	}
	n := &NATS{config: c, room: room, failed: make(chan error, 1)}
	if err := n.open(ctx); err != nil {
		return nil, err
	}
	// Another server has the same address, and room for what the streams may take.
	s := n.running().server
	n.url, n.config.Address = s.ClientURL(), s.Addr().String()
	if js := s.JetStreamConfig(); js != nil {
		n.config.maxStore = js.MaxStore
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var care sync.WaitGroup
	care.Go(func() { n.keep(ctx) })
	care.Go(func() { room.keep(ctx) })
	n.stop = func() {
		cancel()
		care.Wait()
	}
	return n, nil
}

// open starts a server.
func (n *NATS) open(ctx context.Context) error {
	options, err := n.config.options()
	if err != nil {
		return err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("starting the NATS server: %w", err)
	}
	opened := natsServer{s, make(chan error, 1)}
	s.SetLoggerV2(&natsLog{logger: n.config.Logger, config: n.config, fatal: opened.fatal}, false, false, false)
	if err := opened.start(ctx, n.config); err != nil {
		opened.end()
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now = opened
	return nil
}

func (n *NATS) running() natsServer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

func (c NATSConfig) options() (*server.Options, error) {
	host, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return nil, &ListenError{ServiceNATS, c.Address, err}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, &ListenError{ServiceNATS, c.Address, fmt.Errorf("port %q is not a number up to 65535", port)}
	}
	if len(c.Users)+len(c.Accounts) == 0 {
		return nil, errors.New("starting the NATS server: no users: it would be open to everybody")
	}
	o := &server.Options{
		ServerName: "fenceline", Host: host, Port: int(number),
		JetStream: true, StoreDir: c.StoreDir, SyncAlways: true, JetStreamMaxMemory: natsMemory, JetStreamMaxStore: c.maxStore,
		DisableJetStreamBanner: true, NoSigs: true,
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	for _, u := range c.Users {
		hash, err := HashPassword(u.Password)
		if err != nil {
			return nil, fmt.Errorf("starting the NATS server: user %s: %w", u.Name, err)
		}
		o.Users = append(o.Users, &server.User{
			Username: u.Name, Password: hash,
			Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: u.Publish},
				Subscribe: &server.SubjectPermission{Allow: u.Subscribe},
			},
		})
	}
	if len(c.Accounts) > 0 {
		if err := c.addAccounts(o); err != nil {
			return nil, fmt.Errorf("starting the NATS server: %w", err)
		}
	}
	return o, nil
}

func (s natsServer) start(ctx context.Context, c NATSConfig) error {
	begun, started := make(chan struct{}), make(chan bool, 1)
	go func() {
		s.server.Start()
		close(begun)
		started <- s.server.ReadyForConnections(natsStart)
	}()
	select {
	case err := <-s.fatal:
		return err
	case <-ctx.Done():
		<-begun // it can't be ended before, and would go on with its folder
		return fmt.Errorf("starting the NATS server: %w", context.Cause(ctx))
	case ok := <-started:
		select { // a fatal error also ends the wait for connections
		case err := <-s.fatal:
			return err
		default:
		}
		if !ok || !s.server.JetStreamEnabled() {
			return fmt.Errorf("starting the NATS server over %s: it was not ready within %s: see its log lines above", c.StoreDir, natsStart)
		}
		return nil
	}
}

// URL is where clients connect.
func (n *NATS) URL() string { return n.url }

// InProcessConn connects without a socket. It makes NATS the in-process server that the
// queue's client accepts, and that a client reaches again after another server was started.
func (n *NATS) InProcessConn() (net.Conn, error) { return n.running().server.InProcessConn() }

// Failed delivers the error that makes the server useless while it runs.
func (n *NATS) Failed() <-chan error { return n.failed }

// Stop ends the server, with everything on disk.
func (n *NATS) Stop() {
	n.stop()
	n.running().end()
	_ = os.Remove(n.room.reserve) // for others while nobody stores
}

// natsLog passes the server's log lines on, and turns the first fatal one, which would end
// the process, into an error.
type natsLog struct {
	logger zerolog.Logger
	config NATSConfig
	fatal  chan<- error
}

func (l *natsLog) Noticef(format string, v ...any) { l.logger.Debug().Msgf(format, v...) }
func (l *natsLog) Warnf(format string, v ...any)   { l.logger.Warn().Msgf(format, v...) }
func (l *natsLog) Errorf(format string, v ...any)  { l.logger.Error().Msgf(format, v...) }
func (l *natsLog) Debugf(string, ...any)           {}
func (l *natsLog) Tracef(string, ...any)           {}

func (l *natsLog) Fatalf(format string, v ...any) {
	fail(l.fatal, l.explain(fmt.Errorf(format, v...), v))
}

// fail delivers the first fatal error. What follows it is its consequence.
func fail(fatal chan<- error, err error) {
	select {
	case fatal <- err:
	default:
	}
}

// explain says what a fatal error is about. The server passes the listener's error as a value.
func (l *natsLog) explain(err error, args []any) error {
	for _, a := range args {
		var op *net.OpError
		if cause, ok := a.(error); ok && errors.As(cause, &op) && op.Op == "listen" {
			return &ListenError{ServiceNATS, l.config.Address, op.Err}
		}
	}
	return storeError(l.config.StoreDir, err)
}

// storeError says what makes a server useless over its folder. The server gives causes as
// text in places.
func storeError(dir string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		return fmt.Errorf("running the NATS server: %w: free some space at %s: %w", ErrDiskFull, dir, err)
	}
	return fmt.Errorf("running the NATS server over %s: %w: check that the folder is whole and writable, then start again", dir, err)
}

var _ server.Logger = (*natsLog)(nil)
