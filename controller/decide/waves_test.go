package decide

import (
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func TestWavesAdmitExactCounts(t *testing.T) {
	s := fleetOf(10, func(p *messages.Policy) { p.Canaries, p.Waves = 2, []int{30, 55, 100} })
	for _, want := range []int{2, 3, 6, 10} {
		s.settle(t)
		if got := s.admitted(); len(got) != want {
			t.Fatalf("%d nodes are admitted, not %d", len(got), want)
		}
		s.fetch(s.Members...)
	}
	s.settle(t)
	if s.Record.Current.Order != 1 {
		t.Fatalf("not flipped: %+v", s.Rollouts[0])
	}
}

func TestNoMoreThanMaxInFlight(t *testing.T) {
	s := fleetOf(9, func(p *messages.Policy) { p.Canaries, p.MaxInFlight = 3, 2 })
	for range 20 {
		s.settle(t)
		if s.Record.Current.Order == 1 {
			return
		}
		var busy []string
		for _, m := range s.admitted() {
			if !s.Nodes[m].Has(testImage(1)) {
				busy = append(busy, m)
			}
		}
		if len(busy) > 2 || len(busy) == 0 {
			t.Fatalf("%v preload at one time", busy)
		}
		s.fetch(busy[0])
	}
	t.Fatal("never flipped")
}

func TestACanaryWithoutAVerdictIsReplaced(t *testing.T) {
	for _, c := range []struct {
		name  string
		fresh bool
		quiet time.Duration
		want  int
	}{{"silent past its deadline", false, time.Hour, 2}, {"alive, but without progress", true, time.Hour, 2}, {"alive, in its time", true, time.Second, 1}} {
		t.Run(c.name, func(t *testing.T) {
			s := fleetOf(4, func(p *messages.Policy) { p.QuorumPercent = 75 })
			s.settle(t)
			canary := s.Rollouts[0].Canaries[0]
			n := s.Nodes[canary]
			n.Fresh, n.Quiet = c.fresh, c.quiet
			s.Nodes[canary] = n
			s.settle(t)
			if got := s.Rollouts[0].Canaries; len(got) != c.want {
				t.Fatalf("the canaries are %v; why: %s", got, s.Rollouts[0].Why)
			}
			for range 3 {
				s.fetch(slices.DeleteFunc(slices.Clone(s.Members), func(m string) bool { return m == canary })...)
				s.settle(t)
			}
			if flipped := s.Record.Current.Order == 1; flipped != (c.want == 2) {
				t.Fatalf("flipped: %v; why: %s", flipped, s.Rollouts[0].Why)
			}
		})
	}
}
