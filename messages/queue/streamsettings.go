package queue

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// setting is one setting of a stream: what it is, and what it has to be.
type setting struct {
	field      string
	same       bool
	have, want any
	fix        string // takes the stream's name
}

// The ways to bring a stream and what is asked for together.
const (
	fixEdit = "change it with `nats stream edit %s`, or use another prefix"
	fixSize = "ask for what it has, change it with `nats stream edit %s`, or use another prefix"
	// Whoever may publish there could remove what others stored.
	fixRollup = "set allow_rollup_hdrs with `nats stream edit -i %s`, or use another prefix"
	fixFresh  = "NATS can't change that: keep what is in it with `nats stream backup %[1]s`, remove it with `nats stream rm %[1]s` and declare it again, or use another prefix"
)

// compare returns a *DiffersError for the first setting of have that can't stay: one that
// could lose what is stored or refuse what is sent, or one that differs from what was asked for.
func compare(have jetstream.StreamConfig, asked Stream) error {
	want := asked.config()
	for _, s := range slices.Concat(kind(have, want), sizing(have, asked), conduct(have, want)) {
		if !s.same {
			return &DiffersError{
				Stream: have.Name, Field: s.field, Have: fmt.Sprint(s.have), Want: fmt.Sprint(s.want), Fix: fmt.Sprintf(s.fix, have.Name),
			}
		}
	}
	return nil
}

// kind is what a stream is for.
func kind(have, want jetstream.StreamConfig) []setting {
	slices.Sort(have.Subjects)
	slices.Sort(want.Subjects)
	copies := have.Mirror != nil || len(have.Sources) > 0
	return []setting{
		{"other streams to copy from", !copies, copies, false, fixFresh}, // a mirror has no subjects
		{"subjects", slices.Equal(have.Subjects, want.Subjects), have.Subjects, want.Subjects, fixEdit},
		{"retention", have.Retention == want.Retention, have.Retention, want.Retention, fixFresh},
		{"storage", have.Storage == want.Storage, have.Storage, want.Storage, fixFresh},
		{"persist mode", have.PersistMode == want.PersistMode, have.PersistMode, want.PersistMode, fixFresh},
		{"subject transform", have.SubjectTransform == nil, have.SubjectTransform != nil, false, fixEdit},
		{"counters allowed", !have.AllowMsgCounter, have.AllowMsgCounter, false, fixFresh},
	}
}

// sizing is how much a stream takes, and for how long.
func sizing(have jetstream.StreamConfig, asked Stream) []setting {
	want := asked.config()
	age := !asked.AgeAsked || have.MaxAge == want.MaxAge
	ageFix := fixSize
	switch {
	case want.MaxAge == 0 && have.MaxAge != 0: // it would delete what waits or what was decided
		age, ageFix = false, fixEdit
	case want.Storage == jetstream.MemoryStorage && have.MaxAge == 0: // the dead would live on
		age, ageFix = false, fixEdit
	}
	limits := []setting{
		{"max age", age, have.MaxAge, want.MaxAge, ageFix},
		{"max messages", have.MaxMsgs == want.MaxMsgs, have.MaxMsgs, want.MaxMsgs, fixEdit},
		{"max messages per subject", have.MaxMsgsPerSubject == want.MaxMsgsPerSubject, have.MaxMsgsPerSubject, want.MaxMsgsPerSubject, fixEdit},
		{"max message size", have.MaxMsgSize <= 0, have.MaxMsgSize, -1, fixEdit},
		{"max consumers", have.MaxConsumers <= 0, have.MaxConsumers, want.MaxConsumers, fixFresh},
		{"replicas", asked.Replicas == 0 || have.Replicas == want.Replicas, have.Replicas, want.Replicas, fixSize},
	}
	if want.Duplicates > 0 {
		limits = append(limits, setting{"duplicate window", have.Duplicates >= min(want.Duplicates, orDefault(have.MaxAge, time.Duration(1<<63-1))),
			have.Duplicates, want.Duplicates, fixEdit})
	}
	return limits
}

// conduct is what a stream does with what is sent and asked.
func conduct(have, want jetstream.StreamConfig) []setting {
	return []setting{
		{"discard policy", have.Discard == want.Discard, have.Discard, want.Discard, fixEdit},
		{"discard new per subject", !have.DiscardNewPerSubject, have.DiscardNewPerSubject, false, fixEdit},
		{"acknowledgements off", !have.NoAck, have.NoAck, false, fixEdit},
		{"sealed", !have.Sealed, have.Sealed, false, fixFresh},
		{"direct access", have.AllowDirect == want.AllowDirect, have.AllowDirect, want.AllowDirect, fixEdit},
		// Before rollups, which it brings with it and which can't be taken away without it.
		{"message TTLs allowed", !have.AllowMsgTTL, have.AllowMsgTTL, false, fixFresh},
		{"message schedules allowed", !have.AllowMsgSchedules, have.AllowMsgSchedules, false, fixFresh},
		{"purges denied", !have.DenyPurge, have.DenyPurge, false, fixFresh},
		{"rollups allowed", have.AllowRollup == want.AllowRollup, have.AllowRollup, want.AllowRollup, fixRollup},
		{"deletes denied", have.DenyDelete == want.DenyDelete, have.DenyDelete, want.DenyDelete, fixFresh},
	}
}
