package compose

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soakMinutes is how long a soak lasts unless FENCELINE_SOAK_MINUTES says otherwise.
const soakMinutes = 2

// number is an environment variable's value, or what it is without one.
func number(t *testing.T, variable string, without uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return without
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q: give a whole number", variable, text)
	}
	return n
}

// chaos is what may happen to the containers of a service.
var chaos = map[string][]outage{
	"builder":    {killed, stopped, cut("queue"), cut("images")},
	"buildkitd":  {killed, stopped, cut("images")},
	"controller": {killed, stopped, cut("queue")},
	"node":       {killed, stopped, cut("queue"), cut("images")},
	"registry":   {killed, stopped},
	"nats":       {killed, stopped},
	"producer":   {killed, stopped},
}

// TestSoak takes parts away at random, one after another, for a random time, under load. Same
// seed, same course, as far as machines have one.
func TestSoak(t *testing.T) {
	seed := number(t, "FENCELINE_SOAK_SEED", uint64(time.Now().UnixNano()))
	minutes := number(t, "FENCELINE_SOAK_MINUTES", soakMinutes)
	t.Logf("seed %d: FENCELINE_SOAK_SEED=%d make soak MINUTES=%d does it again", seed, seed, minutes)
	s := shared.get(t)
	s.onFailure(t)
	random := rand.New(rand.NewPCG(seed, 0))
	kinds := rand.New(rand.NewPCG(seed, 1))
	l := s.load(t.Context(), 3*time.Second, func() map[string]string {
		return []func() map[string]string{quick, quick, quick, slow, large}[kinds.IntN(5)]()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(minutes)*time.Minute)
	defer cancel()
	services := []string{"builder", "buildkitd", "controller", "node", "registry", "nats", "producer"}
	outages := 0
	for ; ctx.Err() == nil; outages++ {
		service := services[random.IntN(len(services))]
		all := s.of(t, service)
		c := all[random.IntN(len(all))]
		o := chaos[service][random.IntN(len(chaos[service]))]
		giveBack := s.take(t, o, c)
		pause(ctx, time.Duration(random.Int64N(int64(2*lease))))
		giveBack()
		pause(ctx, time.Duration(random.Int64N(int64(2*lease))))
	}
	last := l.ended(t)
	t.Logf("%d outages", outages)
	s.healthy(t)
	s.flipped(t, last)
	// What a NATS that was killed took along may have been the only word of a flip: that of some, not of many.
	if unseen := s.judge(t); len(unseen)*4 > max(4, outages) {
		t.Errorf("in %d outages %d flips were not seen: %s", outages, len(unseen), unseen)
	} else if len(unseen) > 0 {
		t.Logf("not seen: %s", unseen)
	}
	s.untouched(t)
}

// untouched sees that nobody holds the fleet and nothing was given up.
func (s *shape) untouched(t *testing.T) {
	t.Helper()
	var told struct {
		status
		DeadLetters int `json:"dead_letters"`
	}
	if err := s.JSON(t.Context(), &told, "status"); err != nil {
		t.Fatal(err)
	}
	if told.DeadLetters > 0 {
		t.Errorf("%d messages were given up", told.DeadLetters)
	}
	for _, f := range told.Fleets {
		if f.Record != nil && f.Record.Hold != nil {
			t.Errorf("fleet %s is held by %s", f.Fleet, f.Record.Hold.By)
		}
	}
	if out, err := s.Run(t.Context(), "status"); err != nil || strings.Contains(out, "problem:") {
		t.Errorf("status, when all is well again: %v\n%s", err, out)
	}
}
