package queue

import (
	"slices"
	"testing"
	"time"
)

// TestWhereAReaderGoesOn has the stream of one that follows what is new become another one, or shorter, before anything came and
// after: what comes then is given, and what is restored is not given as if it were news.
func TestWhereAReaderGoesOn(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	type stream struct {
		made   int64
		stored []int64 // when each message was
	}
	for _, c := range []struct {
		name  string
		came  []int64 // beside 1 and 2, which were there
		then  stream
		given []int64
	}{
		{name: "nothing happened", came: []int64{11, 12}, then: stream{1, []int64{1, 2, 11, 12, 21}}, given: []int64{21}},
		{name: "nothing came yet", then: stream{1, []int64{1, 2, 21}}, given: []int64{21}},
		{name: "made anew", came: []int64{11, 12}, then: stream{15, []int64{21, 22}}, given: []int64{21, 22}},
		{name: "made anew before anything came", then: stream{15, []int64{21}}, given: []int64{21}},
		{name: "made anew by a server whose clock is behind", came: []int64{11, 30}, then: stream{15, []int64{21, 22}}, given: []int64{21, 22}},
		{name: "shorter, and gone on", came: []int64{11, 12, 13}, then: stream{1, []int64{1, 2, 11, 21}}, given: []int64{21}},
		{name: "shorter before anything came", then: stream{1, []int64{1}}},
		{name: "restored by a cluster", came: []int64{11, 12}, then: stream{15, []int64{1, 2, 11, 12, 21}}, given: []int64{21}},
		{name: "restored by a cluster before anything came", then: stream{15, []int64{1, 2, 21}}, given: []int64{21}},
		{name: "restored over one that was made anew", came: []int64{11, 12}, then: stream{-5, []int64{1, 2, 11, 21}}, given: []int64{21}},
	} {
		p := place{s: &session{newOnly: true}}
		p.goOn(StreamInfo{Made: at(1), Now: at(10), Last: 2})
		for i, second := range c.came {
			if !p.take(Stored{Sequence: uint64(3 + i), Time: at(second)}) {
				t.Errorf("%s: what came at %d is not given", c.name, second)
			}
		}
		p.goOn(StreamInfo{Made: at(c.then.made), Now: at(22), Last: uint64(len(c.then.stored))})
		var given []int64
		for i, second := range c.then.stored {
			if m := (Stored{Sequence: uint64(1 + i), Time: at(second)}); m.Sequence >= p.s.from && p.take(m) {
				given = append(given, second)
			}
		}
		if !slices.Equal(given, c.given) {
			t.Errorf("%s: %v is given, and not %v", c.name, given, c.given)
		}
	}
}
