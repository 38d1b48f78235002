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
	nc *nats.Conn
	js jetstream.JetStream

	mu     sync.Mutex
	beats  map[string][]heartbeat // of each node, as they came
	events map[uint64]event       // of the events stream, by sequence
	fleets map[uint64]change      // of the fleet's record, by revision
	fence  map[uint64]string      // values of the fence config, by revision
}

// heartbeat is what counts of a node's.
type heartbeat struct {
	at     time.Time
	images []string
	work   struct{ Rollout, Image, State string }
}

// event is what counts of one about a build.
type event struct{ kind, build string }

// change is a revision of the fleet's record.
type change struct {
	at     time.Time
	record fleetRecord
}

// fleetRecord is what counts of it.
type fleetRecord struct {
	Epoch   uint64
	Current struct {
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
		beats: map[string][]heartbeat{}, events: map[uint64]event{}, fleets: map[uint64]change{}, fence: map[uint64]string{},
	}
	var err error
	r.nc, err = nats.Connect(s.nats(), nats.UserInfo("reader", readerPassword), nats.RootCAs(filepath.Join(s.State, "tls", "ca.pem")),
		nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.PingInterval(2*time.Second), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	if r.js, err = jetstream.New(r.nc, jetstream.WithDefaultTimeout(2*time.Second)); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	if _, err := r.nc.Subscribe("$KV.fenceline-nodes.>", r.heard); err != nil {
		return nil, fmt.Errorf("listening to heartbeats: %w", err)
	}
	return r, r.nc.FlushTimeout(patience)
}

func (r *records) close() { r.nc.Close() }

// heard takes down a heartbeat.
func (r *records) heard(m *nats.Msg) {
	var told struct {
		Node   string
		Images []struct{ Image string }
		Work   *struct{ Rollout, Image, State string }
	}
	if json.Unmarshal(m.Data, &told) != nil || told.Node == "" {
		return
	}
	h := heartbeat{at: time.Now()}
	for _, i := range told.Images {
		h.images = append(h.images, i.Image)
	}
	if told.Work != nil {
		h.work = *told.Work
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beats[told.Node] = append(r.beats[told.Node], h)
}

// last is a node's last heartbeat.
func (r *records) last(node string) heartbeat {
	r.mu.Lock()
	defer r.mu.Unlock()
	if all := r.beats[node]; len(all) > 0 {
		return all[len(all)-1]
	}
	return heartbeat{}
}

// update reads what was stored since: KV buckets keep only so many values of a key.
func (r *records) update(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(
		r.each(ctx, "fenceline-events", func(m jetstream.Msg, seq uint64, _ time.Time) error {
			tokens := strings.Split(m.Subject(), ".") // fenceline.image.ready.v1.PIPELINE.BUILD
			if len(tokens) > 4 {
				r.events[seq] = event{tokens[1] + "." + tokens[2], tokens[len(tokens)-1]}
			}
			return nil
		}),
		r.each(ctx, "KV_fenceline-fleets", func(m jetstream.Msg, seq uint64, at time.Time) error {
			if m.Subject() != "$KV.fenceline-fleets."+fleet {
				return nil
			}
			c := change{at: at}
			err := json.Unmarshal(m.Data(), &c.record)
			r.fleets[seq] = c
			return err
		}),
		r.each(ctx, "KV_fenceline-fence", func(m jetstream.Msg, seq uint64, _ time.Time) error {
			r.fence[seq] = string(m.Data())
			return nil
		}),
	)
}

// each calls do with every message that a stream has now.
func (r *records) each(ctx context.Context, stream string, do func(m jetstream.Msg, sequence uint64, stored time.Time) error) error {
	s, err := r.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("reading %s: %w", stream, err)
	}
	if s.CachedInfo().State.Msgs == 0 {
		return nil
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("reading %s: %w", stream, err)
	}
	for {
		m, err := c.Next(jetstream.FetchMaxWait(2 * time.Second))
		if err != nil {
			return fmt.Errorf("reading %s: %w", stream, err)
		}
		meta, err := m.Metadata()
		if err == nil {
			err = do(m, meta.Sequence.Stream, meta.Timestamp)
		}
		if err != nil {
			return fmt.Errorf("reading %s at %s: %w", stream, m.Subject(), err)
		}
		if meta.NumPending == 0 {
			return nil
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
	return b, r.value(ctx, "builds", id, &b)
}

func (r *records) fleet(ctx context.Context) (fleetRecord, error) {
	var f fleetRecord
	return f, r.value(ctx, "fleets", fleet, &f)
}

func (r *records) rollout(ctx context.Context, id string) (rolloutRecord, error) {
	var out rolloutRecord
	return out, r.value(ctx, "rollouts", id, &out)
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
