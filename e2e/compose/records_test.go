package compose

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fenceline/fenceline/e2e/invariants"
)

// records are what the installation has written down, as NATS has it. They are read with a
// user of their own, message by message, and decoded by nothing that the workers use.
type records struct {
	nats *nats.Conn
	js   jetstream.JetStream

	heartbeats heartbeats

	mu     sync.Mutex
	events map[uint64]event       // of the events stream, by sequence
	fleets map[uint64]fleetRecord // of the fleet's record, by revision
	fence  map[uint64]string      // values of the fence config, by revision
}

// event is what counts of one about a build.
type event struct{ kind, build string }

// fleetRecord is what counts of it.
type fleetRecord struct {
	stored  time.Time
	Epoch   uint64
	Current struct {
		Image, Build, Rollout string
		Order                 uint64
	}
	Hold *struct{ By string }
}

// rolloutRecord is what counts of a rollout's.
type rolloutRecord struct {
	ID, State, Why string
	Members        []string
	Count          int `json:"member_count"` // of one that was flipped or is over
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
	const first = "    users = [\n" // of the account with the streams
	with := strings.Replace(string(conf), first, first+fmt.Sprintf("    {user: %q, password: %q}\n", "reader", readerPassword), 1)
	return os.WriteFile(path, []byte(with), 0o644)
}

// readRecords begins to watch heartbeats, of which NATS keeps only the last.
func readRecords(s *shape) (*records, error) {
	r := &records{events: map[uint64]event{}, fleets: map[uint64]fleetRecord{}, fence: map[uint64]string{}}
	options := []nats.Option{
		nats.UserInfo("reader", readerPassword), nats.RootCAs(filepath.Join(s.State, "tls", "ca.pem")), nats.MaxReconnects(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}
	var err error
	r.nats, err = nats.Connect(s.nats(), append(options, nats.ReconnectWait(100*time.Millisecond), nats.PingInterval(2*time.Second))...)
	if err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	if r.js, err = jetstream.New(r.nats, jetstream.WithDefaultTimeout(2*time.Second)); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	if err := r.heartbeats.begin(s.servers, options...); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *records) close() {
	r.heartbeats.end()
	r.nats.Close()
}

// update reads what was stored since: KV buckets keep only so many values of a key.
func (r *records) update(ctx context.Context) error {
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
			var f fleetRecord
			err := json.Unmarshal(m.Data(), &f)
			f.stored = at
			r.fleets[seq] = f
			return err
		}),
		r.each(ctx, "KV_fenceline-fence", func(m jetstream.Msg, seq uint64, _ time.Time) error {
			r.fence[seq] = string(m.Data())
			return nil
		}),
	)
}

// fleetHistory lists the fleet's record as it was at each revision.
func (r *records) fleetHistory() (out []invariants.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, revision := range slices.Sorted(maps.Keys(r.fleets)) {
		f := r.fleets[revision]
		out = append(out, invariants.Record{
			Stored: f.stored, Epoch: f.Epoch, Image: f.Current.Image, Order: f.Current.Order, Rollout: f.Current.Rollout, Held: f.Hold != nil,
		})
	}
	return out
}

// fenceHistory lists the values of the fence config.
func (r *records) fenceHistory() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, revision := range slices.Sorted(maps.Keys(r.fence)) {
		out = append(out, r.fence[revision])
	}
	return out
}

// each calls do with every message that a stream has now, and when it was stored.
func (r *records) each(ctx context.Context, stream string, do func(m jetstream.Msg, sequence uint64, at time.Time) error) error {
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
				err = do(m, meta.Sequence.Stream, meta.Timestamp)
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
	if err := r.value(ctx, "rollouts", id, &out); err != nil || out.Count == 0 || len(out.Members) > 0 {
		return out, err
	}
	keys, err := r.keys(ctx, "members") // nobody joins or leaves the fleet during a test
	for _, key := range keys {
		if of, node, _ := strings.Cut(key, "."); of == fleet {
			out.Members = append(out.Members, node)
		}
	}
	if err == nil && len(out.Members) != out.Count {
		err = fmt.Errorf("rollout %s counted %d members, there are %v", id, out.Count, out.Members)
	}
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
