package invariants

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// at is a second of the tests' day.
func at(second int) time.Time { return time.Unix(int64(second), 0) }

// bucket is what a test sees of heartbeats: each node's, one a second.
type bucket struct {
	Heartbeats
	made     time.Time
	sequence uint64
	beats    map[string]uint64
	instance string
}

func newBucket() *bucket {
	return &bucket{made: at(0), beats: map[string]uint64{}, instance: "first"}
}

// beat stores a heartbeat of a node with images; unseen is one that the watcher missed.
func (b *bucket) beat(second int, node string, images ...string) {
	h := b.unseen(node, images...)
	h.Stored = at(second)
	b.Saw(b.made, b.sequence, at(second), h)
}

func (b *bucket) unseen(node string, images ...string) *Heartbeat {
	b.sequence++
	b.beats[node]++
	return &Heartbeat{Node: node, Instance: b.instance, Beat: b.beats[node], Images: images}
}

// replaced is the bucket made anew, as after a restart of NATS.
func (b *bucket) replaced(second int) { b.made, b.sequence = at(second), 0 }

func TestHad(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(b *bucket)
		want answer
	}{
		"the newest has it": {func(b *bucket) { b.beat(1, "a"); b.beat(2, "a", "image"); b.beat(9, "b") }, yes},
		"the third last has it": {
			func(b *bucket) { b.beat(1, "a", "image"); b.beat(2, "a"); b.beat(3, "a"); b.beat(9, "b") }, yes,
		},
		"the fourth last has it": {
			func(b *bucket) {
				b.beat(1, "a", "image")
				b.beat(2, "a")
				b.beat(3, "a")
				b.beat(4, "a")
				b.beat(9, "b")
			}, no,
		},
		"one after the flip has it": {func(b *bucket) { b.beat(1, "a"); b.beat(7, "a", "image"); b.beat(9, "b") }, no},
		"another node has it":       {func(b *bucket) { b.beat(1, "a"); b.beat(2, "b", "image"); b.beat(9, "b") }, no},
		"another image is there":    {func(b *bucket) { b.beat(1, "a", "other"); b.beat(9, "b") }, no},
		"nothing was heard of it":   {func(b *bucket) { b.beat(1, "b"); b.beat(9, "b") }, no},
		"it was watched no longer":  {func(b *bucket) { b.beat(1, "a", "image") }, unseen},
		"one was missed that may have had it": {
			func(b *bucket) { b.beat(1, "a"); b.unseen("a", "image"); b.beat(3, "a"); b.beat(9, "b") }, unseen,
		},
		"one was missed of another node": {
			func(b *bucket) { b.beat(1, "a"); b.unseen("b", "image"); b.beat(3, "a"); b.beat(9, "b") }, no,
		},
		"one was missed before one that has it": {
			func(b *bucket) { b.beat(1, "a"); b.unseen("a"); b.beat(3, "a", "image"); b.beat(9, "b") }, yes,
		},
		"one was missed after one that has it": {
			func(b *bucket) { b.beat(1, "a", "image"); b.unseen("a"); b.beat(3, "a"); b.beat(9, "b") }, yes,
		},
		"two were missed after the second last that has it": {
			func(b *bucket) { b.beat(1, "a", "image"); b.unseen("a"); b.unseen("a"); b.beat(4, "a"); b.beat(9, "b") }, unseen,
		},
		"missed ones too long ago to count": {
			func(b *bucket) {
				b.unseen("a", "image")
				b.beat(2, "a")
				b.beat(3, "a")
				b.beat(4, "a")
				b.beat(9, "b")
			}, no,
		},
		"one that a reader missed and another saw later": {
			func(b *bucket) {
				b.beat(1, "a")
				missed := b.unseen("a", "image")
				b.beat(3, "a")
				b.beat(9, "b")
				missed.Stored = at(2)
				b.Saw(b.made, b.sequence-2, at(2), missed)
			}, yes,
		},
		"each that two readers saw counts once": {
			func(b *bucket) {
				b.beat(1, "a", "image")
				b.beat(2, "a")
				b.beat(3, "a")
				b.Saw(b.made, b.sequence, at(3), &Heartbeat{Node: "a", Instance: b.instance, Beat: 3, Stored: at(3)})
				b.beat(9, "b")
			}, yes,
		},
		"the bucket was replaced, and none was sent meanwhile": {
			func(b *bucket) { b.beat(1, "a", "image"); b.replaced(2); b.beat(3, "a"); b.beat(9, "b") }, yes,
		},
		"the bucket was replaced, and one was sent": {
			func(b *bucket) { b.beat(1, "a"); b.beats["a"]++; b.replaced(2); b.beat(3, "a"); b.beat(9, "b") }, unseen,
		},
		"the bucket was replaced, and the first of the new one missed": {
			func(b *bucket) { b.beat(1, "a"); b.replaced(2); b.unseen("a"); b.beat(4, "a"); b.beat(9, "b") }, unseen,
		},
		"the bucket was replaced, and seen to its end": {
			func(b *bucket) {
				b.beat(1, "a")
				b.beat(2, "a", "image")
				b.Ended()
				b.beats["a"] += 9
				b.replaced(6)
				b.beat(7, "a")
			}, yes,
		},
		"the bucket was replaced, and its last may have had it": {
			func(b *bucket) { b.beat(1, "a"); b.Ended(); b.beats["a"] += 9; b.replaced(6); b.beat(7, "a") }, unseen,
		},
		"the node began anew while the bucket was replaced": {
			func(b *bucket) {
				b.beat(1, "a")
				b.instance, b.beats["a"] = "second", 0
				b.replaced(2)
				b.beat(3, "a")
				b.beat(9, "b")
			}, unseen,
		},
		"the node began anew, and all was seen": {
			func(b *bucket) {
				b.beat(1, "a", "image")
				b.instance, b.beats["a"] = "second", 0
				b.beat(3, "a")
				b.beat(9, "b")
			}, yes,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket()
			c.do(b)
			if got := b.had("a", "image", at(5)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestLast(t *testing.T) {
	b := newBucket()
	if b.Last("a").Beat != 0 {
		t.Error("something was seen before anything was")
	}
	b.beat(1, "a")
	b.beat(2, "a", "image")
	b.Saw(b.made, 3, at(3), nil)
	if b.Last("a").Beat != 2 || !b.Until().Equal(at(3)) {
		t.Errorf("last %+v; until %v", b.Last("a"), b.Until())
	}
}

// reported has two nodes that report image at second 1 to 3, and image-2 from second 5.
func reported() *bucket {
	b := newBucket()
	for second := range 10 {
		images := []string{"image"}
		if second >= 5 {
			images = append(images, "image-2")
		}
		b.beat(second, "a", images...)
		b.beat(second, "b", images...)
	}
	return b
}

func TestFlips(t *testing.T) {
	all := Rollout{Members: []string{"a", "b"}, Quorum: 100}
	first := Record{Stored: at(3), Epoch: 1, Image: "image", Order: 1}
	second := Record{Stored: at(7), Epoch: 2, Image: "image-2", Order: 2}
	with := func(r Record, change func(*Record)) Record { change(&r); return r }
	for name, c := range map[string]struct {
		records         []Record
		rollout         Rollout
		broken, notSeen string // nothing is "" and what they begin with otherwise
	}{
		"none":                           {},
		"two that were covered":          {records: []Record{first, second}, rollout: all},
		"a record that is written again": {records: []Record{first, with(first, func(r *Record) { r.Stored = at(4) }), second}, rollout: all},
		"one that no heartbeat covered": {
			records: []Record{first, with(second, func(r *Record) { r.Stored = at(4) })}, rollout: all,
			broken: "4: flipped to image-2 when [] of [a b] had it, and 2 had to",
		},
		"one of a rollout without members": {records: []Record{first}, rollout: Rollout{Quorum: 100}, broken: "4: flipped to image when [] of []"},
		"one that a member never reported": {
			records: []Record{first}, rollout: Rollout{Members: []string{"a", "b", "c"}, Quorum: 100}, broken: "4: flipped to image when [a b] of [a b c] had it, and 3 had to",
		},
		"a quorum that a member need not be in": {records: []Record{first}, rollout: Rollout{Members: []string{"a", "b", "c"}, Quorum: 66}},
		"a floor above the quorum": {
			records: []Record{first}, rollout: Rollout{Members: []string{"a", "b", "c"}, Quorum: 50, Floor: 3}, broken: "4: flipped to image",
		},
		"one after all that was heard": {
			records: []Record{first, with(second, func(r *Record) { r.Stored = at(20) })}, rollout: all,
			notSeen: "heartbeats of [a b] before the flip to image-2",
		},
		"a decision that is not there": {
			records: []Record{first, with(second, func(r *Record) { r.Epoch = 3 })}, rollout: all, notSeen: "the decisions between epoch 1 and 3",
		},
		"an epoch that falls": {records: []Record{with(first, func(r *Record) { r.Epoch = 1 }), with(first, func(r *Record) { r.Epoch = 0 })}, rollout: all, broken: "5: the epoch went from 1 to 0"},
		"an older image": {
			records: []Record{with(first, func(r *Record) { r.Order = 9 }), second}, rollout: all, broken: "5: a flip from order 9 to 2",
		},
		"a flip under a hold": {
			records: []Record{with(first, func(r *Record) { r.Held = true }), with(second, func(r *Record) { r.Held = true })}, rollout: all,
			broken: "5: a flip to image-2 under a hold",
		},
		"one image twice": {
			records: []Record{first, second, {Stored: at(8), Epoch: 3, Image: "image", Order: 3}}, rollout: all, broken: "5: flipped to image more than once",
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Flips(c.records, &reported().Heartbeats, func(string) (Rollout, error) { return c.rollout, nil })
			if err != nil {
				t.Fatal(err)
			}
			begins(t, "broken", v.Broken, c.broken)
			begins(t, "not seen", v.NotSeen, c.notSeen)
		})
	}
}

// begins wants one text that begins so, or none at all.
func begins(t *testing.T, what string, got []string, want string) {
	t.Helper()
	if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestARolloutThatCanNotBeRead(t *testing.T) {
	gone := errors.New("gone")
	_, err := Flips([]Record{{Epoch: 1, Image: "image"}}, &Heartbeats{}, func(string) (Rollout, error) { return Rollout{}, gone })
	if !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}

func TestFollowed(t *testing.T) {
	for name, c := range map[string]struct {
		values []string
		broken string
	}{
		"nothing":                {nil, ""},
		"every flip":             {[]string{"a", "b", "c"}, ""},
		"a value written twice":  {[]string{"a", "a", "b"}, ""},
		"one that was overtaken": {[]string{"a", "c"}, ""},
		"out of order":           {[]string{"b", "a"}, "5: the fence config had a,"},
		"one that nobody chose":  {[]string{"a", "x"}, "5: the fence config had x,"},
		"back again":             {[]string{"a", "b", "a"}, "5: the fence config had a,"},
	} {
		t.Run(name, func(t *testing.T) {
			v := Verdict{Images: []string{"a", "b", "c"}}
			values := slices.Clone(c.values)
			v.Followed(values)
			begins(t, "broken", v.Broken, c.broken)
			if !slices.Equal(values, c.values) {
				t.Errorf("the values became %q", values)
			}
		})
	}
}
