package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/builds"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go/jetstream"
)

func TestDeclareRefusesWhatWasAskedForOtherwise(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	must(t, store.Declare(within(t), c, store.Layout{}))
	for field, l := range map[string]store.Layout{
		"KV_fenceline-nodes max age":  {NodeTTL: time.Hour},
		"fenceline-requests replicas": {Replicas: 3},
	} {
		var differs *queue.DiffersError
		if err := store.Declare(within(t), c, l); !errors.As(err, &differs) || !errors.Is(err, queue.ErrDiffers) {
			t.Errorf("%s: %v", field, err)
		} else if differs.Stream+" "+differs.Field != field || differs.Have == differs.Want || !strings.Contains(differs.Fix, differs.Stream) {
			t.Errorf("%s: it says %+v", field, differs)
		}
	}
}

// existing are streams as somebody else may have made them, by the setting that can't stay.
// Each alters the one that Declare would make.
var existing = map[string]struct {
	stream string // its name behind the prefix
	alter  func(*jetstream.StreamConfig)
}{
	"subjects":  {"-requests", func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, c.Name+".more") }},
	"retention": {"-requests", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }},
	"storage":   {"-requests", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }},
	"persist mode": {"-requests", func(c *jetstream.StreamConfig) {
		c.PersistMode, c.AllowAtomicPublish = jetstream.AsyncPersistMode, false
	}},
	"discard policy":           {"-requests", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
	"max age":                  {"-requests", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
	"max messages":             {"-requests", func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 }},
	"max messages per subject": {"-requests", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }},
	"max message size":         {"-requests", func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }},
	"max consumers":            {"-requests", func(c *jetstream.StreamConfig) { c.MaxConsumers = 1 }},
	"duplicate window":         {"-requests", func(c *jetstream.StreamConfig) { c.Duplicates = time.Second }},
	"acknowledgements off":     {"-requests", func(c *jetstream.StreamConfig) { c.NoAck = true }},
	"rollups allowed":          {"-events", func(c *jetstream.StreamConfig) { c.AllowRollup = true }},
	"purges denied":            {"-events", func(c *jetstream.StreamConfig) { c.DenyPurge = true }},
	"subject transform": {"-events", func(c *jetstream.StreamConfig) {
		c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: ">", Destination: "other.>"}
	}},
	"other streams to copy from": {"-events", func(c *jetstream.StreamConfig) {
		c.Subjects, c.Mirror, c.Duplicates = nil, &jetstream.StreamSource{Name: "elsewhere"}, 0
	}},
	"deletes denied":                           {"-builds", func(c *jetstream.StreamConfig) { c.DenyDelete = false }},
	"direct access":                            {"-fleets", func(c *jetstream.StreamConfig) { c.AllowDirect = false }},
	"discard new per subject":                  {"-fleets", func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = true }},
	"message TTLs allowed":                     {"-nodes", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true }},
	"message TTLs allowed, for delete markers": {"-nodes", func(c *jetstream.StreamConfig) { c.SubjectDeleteMarkerTTL = time.Minute }},
	"message schedules allowed":                {"-events", func(c *jetstream.StreamConfig) { c.AllowMsgSchedules = true }},
	"rollups allowed, of heartbeats":           {"-nodes", func(c *jetstream.StreamConfig) { c.AllowRollup = true }},
	"rollups allowed, of build records":        {"-builds", func(c *jetstream.StreamConfig) { c.AllowRollup = true }},
	"max age, of heartbeats":                   {"-nodes", func(c *jetstream.StreamConfig) { c.MaxAge = 0 }},
}

func TestDeclareRefusesWhatCanNotStay(t *testing.T) {
	s := queuetest.Start(t)
	first := s.Client(t)
	n := 0
	for what, test := range existing {
		n++
		field, _, _ := strings.Cut(what, ",")
		space, err := messages.NewSpace(fmt.Sprintf("s%d", n))
		must(t, err)
		c := s.Connect(t, func(o *queue.Options) { o.Space = space })
		js := queuetest.JetStream(t, c)
		name := test.stream
		if name != "-requests" && name != "-events" {
			name = "KV_fenceline" + name
		} else {
			name = "fenceline" + name
		}
		like, err := queuetest.JetStream(t, first).Stream(within(t), name)
		must(t, err)
		cfg := like.CachedInfo().Config
		cfg.Name = strings.Replace(cfg.Name, "fenceline", space.Prefix(), 1)
		subjects := make([]string, len(cfg.Subjects))
		for i, subject := range cfg.Subjects {
			subjects[i] = strings.Replace(subject, "fenceline", space.Prefix(), 1)
		}
		cfg.Subjects = subjects
		test.alter(&cfg)
		if _, err := js.CreateStream(within(t), cfg); err != nil {
			t.Errorf("%s: %v", field, err)
			continue
		}
		var differs *queue.DiffersError
		if err := store.Declare(within(t), c, store.Layout{}); !errors.As(err, &differs) {
			t.Errorf("%s: %v", field, err)
		} else if differs.Stream != cfg.Name || differs.Field != field || differs.Have == differs.Want || !strings.Contains(err.Error(), "nats stream") {
			t.Errorf("%s: it says %v", field, err)
		}
	}
}

func TestDeclareTakesSizesAsTheyAre(t *testing.T) {
	s := queuetest.Start(t)
	c := s.Client(t)
	for _, stream := range []string{"fenceline-requests", "fenceline-events", "fenceline-logs", "OBJ_fenceline-contexts"} {
		s.Limit(t, stream, func(cfg *jetstream.StreamConfig) {
			cfg.MaxBytes = 1 << 20
			if cfg.MaxAge > 0 {
				cfg.MaxAge = time.Minute
			}
		})
	}
	must(t, store.Declare(within(t), c, store.Layout{}))
	must(t, store.Declare(within(t), c, store.Layout{NodeTTL: store.DefaultNodeTTL}))
	err := builds.New(c).PutContext(within(t), "ctx-1", strings.NewReader(strings.Repeat("x", 2<<20)))
	if !errors.Is(err, queue.ErrFull) {
		t.Errorf("a context of more than fits: %v", err)
	}
}

// A consumer that gives a message up after some deliveries would lose requests.
func TestDeclareTakesTheBoundOnDeliveriesFromABuildersConsumer(t *testing.T) {
	c := queuetest.Start(t).Client(t)
	must(t, store.Declare(within(t), c, store.Layout{}))
	js, name := queuetest.JetStream(t, c), queue.Durable(store.Builders, messages.TypeBuildRequested)
	consumer, err := js.Consumer(within(t), c.Space().RequestsStream(), name)
	must(t, err)
	cfg := consumer.CachedInfo().Config
	cfg.MaxDeliver, cfg.AckWait = 3, 77*time.Second
	_, err = js.UpdateConsumer(within(t), c.Space().RequestsStream(), cfg)
	must(t, err)
	must(t, store.Declare(within(t), c, store.Layout{}))
	consumer, err = js.Consumer(within(t), c.Space().RequestsStream(), name)
	must(t, err)
	if got := consumer.CachedInfo().Config; got.MaxDeliver != -1 || got.AckWait != 77*time.Second {
		t.Errorf("at most %d deliveries, each for %s", got.MaxDeliver, got.AckWait)
	}
}
