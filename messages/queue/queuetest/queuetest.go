package queuetest

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fenceline/fenceline/freeport"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// startTime bounds how long a server may take to come up.
const startTime = time.Minute

// Server is a NATS server on a port of its own, over a folder of the test. It ends with the
// test.
type Server struct {
	options server.Options
	running *server.Server
}

// Start starts a server. Change alters its options: users with permissions, SyncAlways.
func Start(t testing.TB, change ...func(*server.Options)) *Server {
	t.Helper()
	s := &Server{options: server.Options{
		ServerName: "queuetest", Host: "127.0.0.1", Port: Port(t),
		JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		JetStreamMaxStore: 1 << 50, // streams are declared however little is free on this machine's disk
	}}
	for _, f := range change {
		f(&s.options)
	}
	s.start(t)
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	o := s.options.Clone()
	running, err := server.NewServer(o)
	if err != nil {
		t.Fatalf("starting a NATS server for the test: %v", err)
	}
	running.Start()
	if !running.ReadyForConnections(startTime) {
		t.Fatalf("the NATS server for the test is not up after %s", startTime)
	}
	s.running = running
	s.options.Port = running.Addr().(*net.TCPAddr).Port // a restart listens there again
}

// Port is a port of 127.0.0.1 that is free, and stays so while a server that listens there is restarted.
func Port(t testing.TB) int {
	t.Helper()
	address, err := freeport.Of("127.0.0.1")
	Must(t, err)
	_, port, err := net.SplitHostPort(address)
	Must(t, err)
	n, err := strconv.Atoi(port)
	Must(t, err)
	return n
}

// URL is where the server listens, the same after a restart.
func (s *Server) URL() string { return s.running.ClientURL() }

// Server is the running server.
func (s *Server) Server() *server.Server { return s.running }

// Stop stops the server; what it stored stays until the test ends.
func (s *Server) Stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

// Restart stops the server and starts it again on the same folder and port. Memory streams
// are gone afterwards, as with a real one.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.start(t)
}

// Change alters the options of the next start.
func (s *Server) Change(f func(*server.Options)) { f(&s.options) }

// Resume starts a stopped server again on the same folder and port.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.start(t)
}

// Client connects to the server and declares streams and buckets. It is closed with the test.
func (s *Server) Client(t testing.TB, change ...func(*queue.Options)) *queue.Client {
	t.Helper()
	c := s.Connect(t, change...)
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if err := store.Declare(ctx, c, store.Layout{}); err != nil {
		t.Fatalf("declaring streams on the test's NATS server: %v", err)
	}
	return c
}

// Connect connects to the server and declares nothing. It is closed with the test.
func (s *Server) Connect(t testing.TB, change ...func(*queue.Options)) *queue.Client {
	t.Helper()
	o := queue.Options{URL: s.URL(), Name: t.Name(), Source: "/fenceline/test"}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	c, err := queue.Connect(ctx, o)
	if err != nil {
		t.Fatalf("connecting to the test's NATS server: %v", err)
	}
	connected.Store(c, o)
	t.Cleanup(func() {
		c.Close()
		connected.Delete(c)
	})
	return c
}

// TestTime bounds what a test waits for.
const TestTime = time.Minute

// Within is a context that ends when a test has waited too long.
func Within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), TestTime)
	t.Cleanup(cancel)
	return ctx
}

// Must ends the test on an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until done is true, asking again and again.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(TestTime)
	for !done() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %s: %s", TestTime, what)
		}
	}
}

// JetStream is the server's JetStream with the rights of a client that Connect made, for what
// that client has no method for.
func JetStream(t testing.TB, c *queue.Client) jetstream.JetStream {
	t.Helper()
	known, ok := connected.Load(c)
	if !ok {
		t.Fatal("the client was not connected by this package")
	}
	o := known.(queue.Options)
	opts := []nats.Option{nats.MaxReconnects(-1), nats.Timeout(TestTime)} // not 2 s: a busy machine's server may be slow to greet
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, o.Password.Reveal()))
	}
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	nc, err := nats.Connect(o.URL, opts...)
	Must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	Must(t, err)
	return js
}

// connected has the options of each client.
var connected sync.Map

// Limit makes a stream, which must be declared, smaller or its messages shorter-lived.
func (s *Server) Limit(t testing.TB, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	Limit(t, s.Connect(t), stream, change)
}

// Limit is the method of that name, by a client that may change streams.
func Limit(t testing.TB, c *queue.Client, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	js := JetStream(t, c)
	is, err := js.Stream(Within(t), stream)
	Must(t, err)
	cfg := is.CachedInfo().Config
	change(&cfg)
	if cfg.MaxAge > 0 {
		cfg.Duplicates = min(cfg.Duplicates, cfg.MaxAge)
	}
	_, err = js.UpdateStream(Within(t), cfg)
	Must(t, err)
}

// Remake makes a stream anew, empty: its sequences begin again.
func Remake(t testing.TB, c *queue.Client, stream string) {
	t.Helper()
	js := JetStream(t, c)
	is, err := js.Stream(Within(t), stream)
	Must(t, err)
	Eventually(t, "the stream is empty", func() bool { // a server that still removes the files of one before finds those of this one again
		Must(t, js.DeleteStream(Within(t), stream))
		made, err := js.CreateStream(Within(t), is.CachedInfo().Config)
		Must(t, err)
		return made.CachedInfo().State.LastSeq == 0
	})
}

// FleetRecord makes a fleet's record, and returns its revision.
func FleetRecord(t testing.TB, c *queue.Client, fleet string) uint64 {
	t.Helper()
	revision, err := store.Fleets(c).Create(Within(t), fleet, messages.FleetRecord{Fleet: fleet, Decision: messages.NewID()})
	Must(t, err)
	return revision
}

// Newer is a message of the next version of a payload's type, which has one more field.
func Newer(t testing.TB, c *queue.Client, p messages.Payload) messages.Message {
	t.Helper()
	m, err := messages.Encode(c.Envelope("x", ""), p)
	Must(t, err)
	m.Headers["ce-type"] = []string{string(p.MessageType().After(1))}
	m.Body = bytes.Replace(m.Body, []byte("{"), []byte(`{"channel":"stable",`), 1)
	return m
}

// Back waits until clients have reached a server that was away.
func Back(t testing.TB, clients ...*queue.Client) {
	t.Helper()
	for _, c := range clients {
		Eventually(t, "the client is back", func() bool { return c.Ready(t.Context()) == nil })
	}
}
