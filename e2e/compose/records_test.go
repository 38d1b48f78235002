package compose

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// records are what the installation has written down, as NATS has it. They are read with a
// user of their own, message by message, and decoded by nothing that the workers use.
type records struct {
	servers []*nats.Conn // one to each, as none may be deaf while another is gone
	js      jetstream.JetStream

	mu     sync.Mutex
	last   map[string]heartbeat   // of each node
	puts   map[string]holders     // who had what when the fleet's record was written, by the write's own name
	events map[uint64]event       // of the events stream, by sequence
	fleets map[uint64]fleetRecord // of the fleet's record, by revision
	fence  map[uint64]string      // values of the fence config, by revision
}

// heartbeat is what counts of a node's.
type heartbeat struct {
	Node   string
	Images []struct{ Image string }
	Work   struct{ Rollout, Image, State string }
}

// holders are, of each image, the nodes that had it in one of their last three heartbeats.
type holders map[string]map[string]bool

// listener hears, from one server, heartbeats and writes in the order in which they were made.
type listener struct {
	records *records
	beats   map[string][]heartbeat // the last three of each node
	wrote   map[string]bool        // decisions that were heard of: the first write of one counts
}

// event is what counts of one about a build.
type event struct{ kind, build string }

// fleetRecord is what counts of it.
type fleetRecord struct {
	Decision string // names the write
	Epoch    uint64
	Current  struct {
		Image, Build, Rollout string
		Order                 uint64
	}
	Highest uint64
	Hold    *struct{ By string }
}

// rolloutRecord is what counts of a rollout's.
type rolloutRecord struct {
	ID, State, Why string
	Members        []string
	Policy         struct {
		Quorum int `json:"quorum_percent"`
		Floor  int `json:"quorum_floor"`
	}
}

// buildRecord is what counts of a build's.
type buildRecord struct {
	State, Worker, Commit, Image string
	Attempt                      int
}

// readerPassword is that of the NATS user whom the records are read with.
var readerPassword = rand.Text()

// addReader adds that user to those that fenceline init wrote.
func (s *shape) addReader() error {
	path := filepath.Join(s.State, "nats-users.conf")
	conf, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const first = "  users = [\n"
	with := strings.Replace(string(conf), first, first+fmt.Sprintf("    {user: %q, password: %q}\n", "reader", readerPassword), 1)
	return os.WriteFile(path, []byte(with), 0o644)
}

// readRecords begins to listen to heartbeats, of which NATS keeps only the last.
func readRecords(s *shape) (*records, error) {
	r := &records{
		last: map[string]heartbeat{}, puts: map[string]holders{},
		events: map[uint64]event{}, fleets: map[uint64]fleetRecord{}, fence: map[uint64]string{},
	}
	options := []nats.Option{
		nats.UserInfo("reader", readerPassword), nats.RootCAs(filepath.Join(s.State, "tls", "ca.pem")),
		nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.PingInterval(2 * time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	for _, url := range s.servers {
		nc, err := nats.Connect(url, append(options, nats.IgnoreDiscoveredServers())...)
		if err != nil {
			return nil, fmt.Errorf("listening to heartbeats: %w", err)
		}
		r.servers = append(r.servers, nc)
		l := &listener{r, map[string][]heartbeat{}, map[string]bool{}}
		if _, err := nc.Subscribe("$KV.>", l.hear); err != nil { // one, as two have no order
			return nil, fmt.Errorf("listening to heartbeats: %w", err)
		}
	}
	nc, err := nats.Connect(s.nats(), options...)
	if err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	r.servers = append(r.servers, nc)
	if r.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second)); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	return r, nil
}

func (r *records) close() {
	for _, nc := range r.servers {
		nc.Close()
	}
}

// hear takes down a heartbeat, or who had what when the fleet's record was written.
func (l *listener) hear(m *nats.Msg) {
	if strings.HasPrefix(m.Subject, "$KV.fenceline-nodes.") {
		var h heartbeat
		if json.Unmarshal(m.Data, &h) != nil || h.Node == "" {
			return
		}
		three := append(l.beats[h.Node], h)
		l.beats[h.Node] = three[max(0, len(three)-3):]
		l.records.mu.Lock()
		defer l.records.mu.Unlock()
		l.records.last[h.Node] = h
	}
	if m.Subject == "$KV.fenceline-fleets."+fleet {
		var f fleetRecord
		if json.Unmarshal(m.Data, &f) == nil && !l.wrote[f.Decision] {
			l.wrote[f.Decision] = true
			l.note(f)
		}
	}
}

// note takes down who had what.
func (l *listener) note(f fleetRecord) {
	l.records.mu.Lock()
	defer l.records.mu.Unlock()
	had := l.records.puts[f.Decision]
	if had == nil {
		had = holders{}
		l.records.puts[f.Decision] = had
	}
	for node, three := range l.beats {
		for _, h := range three {
			for _, i := range h.Images {
				if had[i.Image] == nil {
					had[i.Image] = map[string]bool{}
				}
				had[i.Image][node] = true
			}
		}
	}
}

// heard is a node's last heartbeat.
func (r *records) heard(node string) heartbeat {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[node]
}

// update reads what was stored since: KV buckets keep only so many values of a key.
func (r *records) update(ctx context.Context) error {
	return errors.Join(
		r.each(ctx, "fenceline-events", func(m jetstream.Msg, seq uint64) error {
			tokens := strings.Split(m.Subject(), ".") // fenceline.image.ready.v1.PIPELINE.BUILD
			if len(tokens) > 4 {
				r.events[seq] = event{tokens[1] + "." + tokens[2], tokens[len(tokens)-1]}
			}
			return nil
		}),
		r.each(ctx, "KV_fenceline-fleets", func(m jetstream.Msg, seq uint64) error {
			if m.Subject() != "$KV.fenceline-fleets."+fleet {
				return nil
			}
			var f fleetRecord
			err := json.Unmarshal(m.Data(), &f)
			r.fleets[seq] = f
			return err
		}),
		r.each(ctx, "KV_fenceline-fence", func(m jetstream.Msg, seq uint64) error {
			r.fence[seq] = string(m.Data())
			return nil
		}),
	)
}

// each calls do with every message that a stream has now.
func (r *records) each(ctx context.Context, stream string, do func(m jetstream.Msg, sequence uint64) error) error {
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("reading %s: %w", stream, err)
	}
	if s.CachedInfo().State.Msgs == 0 {
		return nil
	}
	c, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: 10 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", stream, err)
	}
	defer func() { _ = s.DeleteConsumer(context.WithoutCancel(ctx), c.CachedInfo().Name) }() // else NATS does
	for next := uint64(1); ; {
		batch, err := c.Fetch(500, jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			if err == nil && meta.Sequence.Consumer != next {
				err = errors.New("a message was missed")
			}
			if err == nil {
				r.mu.Lock()
				err = do(m, meta.Sequence.Stream)
				r.mu.Unlock()
			}
			if err != nil {
				return fmt.Errorf("reading %s at %s: %w", stream, m.Subject(), err)
			}
			if next++; meta.NumPending == 0 {
				return nil
			}
		}
		if err := batch.Error(); err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
	}
}

// value reads the newest value of a key.
func (r *records) value(ctx context.Context, bucket, key string, into any) error {
	s, err := r.js.Stream(ctx, "KV_fenceline-"+bucket)
	if err != nil {
		return err
	}
	m, err := s.GetLastMsgForSubject(ctx, "$KV.fenceline-"+bucket+"."+key)
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", key, bucket, err)
	}
	return json.Unmarshal(m.Data, into)
}

// keys lists the keys of a bucket.
func (r *records) keys(ctx context.Context, bucket string) ([]string, error) {
	s, err := r.js.Stream(ctx, "KV_fenceline-"+bucket)
	if err != nil {
		return nil, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, err
	}
	var out []string
	for subject := range info.State.Subjects {
		out = append(out, strings.TrimPrefix(subject, "$KV.fenceline-"+bucket+"."))
	}
	return out, nil
}

func (r *records) build(ctx context.Context, id string) (buildRecord, error) {
	var b buildRecord
	err := r.value(ctx, "builds", id, &b)
	return b, err
}

func (r *records) fleet(ctx context.Context) (fleetRecord, error) {
	var f fleetRecord
	err := r.value(ctx, "fleets", fleet, &f)
	return f, err
}

func (r *records) rollout(ctx context.Context, id string) (rolloutRecord, error) {
	var out rolloutRecord
	err := r.value(ctx, "rollouts", id, &out)
	return out, err
}

// acting is the name of the controller that acts.
func (r *records) acting(ctx context.Context) (string, error) {
	keys, err := r.keys(ctx, "fleets")
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if !strings.HasPrefix(key, "lease.") {
			continue
		}
		var l struct{ Holder string }
		if err := r.value(ctx, "fleets", key, &l); err != nil {
			return "", err
		}
		if l.Holder != "" {
			return l.Holder, nil
		}
	}
	return "", errors.New("no controller acts")
}
