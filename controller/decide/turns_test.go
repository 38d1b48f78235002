package decide

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"pgregory.net/rapid"
)

// crowded is a fleet of many nodes that fetch as a distributor does, of which some take long.
type crowded struct {
	*State
	clock *Clocks
	pulls map[string]messages.Image // under way
	most  int                       // at one time, so far
}

// wantsNow is what a node's distributor fetches next by the record, or "".
func (c *crowded) wantsNow(name string) messages.Image {
	r, n := &c.Record, c.Nodes[name]
	if !r.Turns.Admits(name) {
		return ""
	}
	if i := r.Current.Image; i != "" && r.Spread.Admits(name) && !n.Has(i) {
		return i
	}
	if p := r.Preload; p != nil && admits(p, name) && !n.Has(p.Image) {
		return p.Image
	}
	for _, k := range Kept(r) {
		if !n.Has(k.Image) {
			return k.Image
		}
	}
	return ""
}

// fetching lets nodes begin and give up pulls as the record says.
func (c *crowded) fetching() {
	for name := range c.Nodes {
		i := c.wantsNow(name)
		if i == "" {
			delete(c.pulls, name)
		} else {
			c.pulls[name] = i
		}
	}
	c.most = max(c.most, len(c.pulls))
}

// ends lets a pull end, and the node try what it has where it is a canary.
func (c *crowded) ends(name string) {
	n := c.Nodes[name]
	n.Status.Images = append(slices.Clone(n.Status.Images), messages.PresentImage{Image: c.pulls[name]})
	delete(c.pulls, name)
	c.Nodes[name] = n
}

// report lets nodes say what they do about the preload.
func (c *crowded) report() {
	for name, n := range c.Nodes {
		n.Status.Work = nil
		if p := c.Record.Preload; p != nil && admits(p, name) {
			n.Status.Work = &messages.NodeWork{Rollout: p.Rollout, Image: p.Image, State: messages.WorkPulling}
			if n.Has(p.Image) {
				n.Status.Work.State = messages.WorkDone
				if slices.Contains(p.Canaries, name) {
					n.Status.Work.Trial = &messages.TrialResult{Passed: true}
				}
			}
		}
		c.Nodes[name] = n
	}
}

func (c *crowded) join(name string) {
	c.Members = append(c.Members, name)
	slices.Sort(c.Members)
	c.Nodes[name] = Node{Fresh: true, Status: messages.NodeStatus{Node: name, Revision: 1, Interval: messages.Duration(10 * time.Second)}}
}

// pass is one look of a controller, and what the nodes make of it.
func (c *crowded) pass(t fataler, elapsed time.Duration) {
	c.report()
	c.Now = c.Now.Add(elapsed)
	for name, n := range c.Nodes {
		n = Node{Status: n.Status, Fresh: n.Fresh}
		c.Nodes[name] = n
	}
	c.Soaked, c.Settling, c.Stalled = 0, "", 0
	c.clock.Measure(c.State, c.Now)
	for range 1000 {
		out := Next(c.State)
		switch {
		case out.Fleet != nil:
			c.Record = *out.Fleet
			c.apply()
		case out.Rollout != nil:
			*c.rollout(out.Rollout.ID) = *out.Rollout
		default:
			c.fetching()
			return
		}
		c.report()
	}
	t.Fatalf("never comes to rest")
}

type fataler interface{ Fatalf(string, ...any) }

func newCrowd(nodes int, change func(*messages.Policy)) *crowded {
	c := &crowded{State: fleetOf(0, change), clock: &Clocks{}, pulls: map[string]messages.Image{}}
	for n := range nodes {
		c.join(fmt.Sprintf("n%04d", n))
	}
	return c
}

// TestNeverMoreInFlightThanThePolicyLets runs rollouts through fleets of hundreds of nodes of which
// some join late, fail, or lose what they have: before and after the flip no more of them fetch at one
// time than the policy lets, and in the end all have the image.
func TestNeverMoreInFlightThanThePolicyLets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 30).Draw(t, "in flight")
		c := newCrowd(rapid.SampledFrom([]int{1, 2, 7, 40, 100}).Draw(t, "nodes"), func(p *messages.Policy) {
			p.MaxInFlight, p.Canaries = limit, rapid.IntRange(0, 3).Draw(t, "canaries")
			p.Waves = rapid.SampledFrom([][]int{{100}, {10, 50, 100}, {1, 100}}).Draw(t, "waves")
			p.QuorumPercent = rapid.SampledFrom([]int{10, 50, 90}).Draw(t, "quorum")
		})
		c.Record.Previous = testFleetImage(9)
		late := rapid.IntRange(0, 40).Draw(t, "late")
		for round := range 4000 {
			c.pass(t, 10*time.Second)
			if c.most > limit {
				t.Fatalf("round %d: %d nodes fetched at one time, %d may", round, c.most, limit)
			}
			if late > 0 && round%2 == 1 {
				for range min(late, 15) {
					late--
					c.join(fmt.Sprintf("late%04d", late))
				}
			}
			names := sortedNames(c.pulls)
			if len(names) == 0 && late == 0 && c.Record.Current.Order == 1 {
				break
			}
			for i, name := range names {
				if (i+round)%3 != 0 || len(names) < 3 {
					c.ends(name)
				}
			}
			if round == 20 {
				n := c.Nodes[c.Members[0]]
				n.Status.Images = nil
				c.Nodes[c.Members[0]] = n
			}
		}
		for name, n := range c.Nodes {
			if c.Record.Current.Order != 1 || !n.Has(testImage(1)) {
				t.Fatalf("in the end %s has %v; current %+v, turns %+v, spread %+v", name, n.Status.Images, c.Record.Current, c.Record.Turns, c.Record.Spread)
			}
		}
		if c.Record.Spread != nil {
			t.Fatalf("all have it, and the record still spreads it: %+v", c.Record.Spread)
		}
	})
}

// TestHundredsOfNodesAfterTheFlip is the same with a fleet of 300, half of which fetch after the flip.
func TestHundredsOfNodesAfterTheFlip(t *testing.T) {
	c := newCrowd(300, func(p *messages.Policy) { p.MaxInFlight, p.QuorumPercent, p.Waves = 25, 50, []int{10, 50, 100} })
	after := 0
	for round := 0; round == 0 || len(c.pulls) > 0; round++ {
		for i, name := range sortedNames(c.pulls) {
			if i%2 == 0 {
				c.ends(name)
			}
		}
		c.pass(t, time.Second)
		if c.Record.Current.Order == 1 {
			after = max(after, len(c.pulls))
		}
	}
	if c.most != 25 || after != 25 {
		t.Errorf("%d fetched at one time, after the flip %d", c.most, after)
	}
	for name, n := range c.Nodes {
		if !n.Has(testImage(1)) {
			t.Errorf("%s never had it", name)
		}
	}
}

func sortedNames(m map[string]messages.Image) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// TestWavesGoOnAfterTheFlip has no bound but the waves: the third begins when the second has ended.
func TestWavesGoOnAfterTheFlip(t *testing.T) {
	c := newCrowd(100, func(p *messages.Policy) { p.Waves, p.QuorumPercent, p.Canaries = []int{10, 30, 60, 100}, 20, 0 })
	for _, w := range []struct {
		pulls   int
		flipped bool
	}{{10, false}, {20, false}, {30, true}, {40, true}} {
		c.pass(t, time.Second)
		if got := c.Record.Current.Order == 1; len(c.pulls) != w.pulls || got != w.flipped {
			t.Fatalf("%d nodes fetch, not %d; flipped %v", len(c.pulls), w.pulls, got)
		}
		names := sortedNames(c.pulls)
		for _, name := range names[1:] {
			c.ends(name)
		}
		c.pass(t, time.Second)
		if len(c.pulls) != 1 {
			t.Fatalf("while one of a wave fetches, %d do", len(c.pulls))
		}
		c.ends(names[0])
	}
}

// TestANodeThatFailsGivesItsTurnToOthers has more nodes that fail than may fetch: the others fetch all
// the same, and those that fail take turns.
func TestANodeThatFailsGivesItsTurnToOthers(t *testing.T) {
	c := newCrowd(30, func(p *messages.Policy) { p.MaxInFlight, p.QuorumPercent, p.Canaries = 3, 10, 0 })
	fails, tried := map[string]bool{}, map[string]bool{}
	for i, name := range c.Members {
		fails[name] = i%3 == 0
	}
	for range 200 {
		c.pass(t, 5*time.Second)
		for _, name := range sortedNames(c.pulls) {
			if !fails[name] {
				c.ends(name)
				continue
			}
			tried[name] = true
			n := c.Nodes[name]
			n.Status.Problems = []messages.ImageProblem{{Image: c.pulls[name], Reason: "the registry refuses access"}}
			c.Nodes[name] = n
		}
	}
	for name, n := range c.Nodes {
		if has := n.Has(testImage(1)); has == fails[name] || fails[name] && !tried[name] {
			t.Errorf("%s fails: %v, has the image: %v, had a turn: %v", name, fails[name], has, tried[name])
		}
	}
	if c.most > 3 {
		t.Errorf("%d fetched at one time", c.most)
	}
}

// TestASilentNodeKeepsItsTurnUntilItsDeadline frees its place then.
func TestASilentNodeKeepsItsTurnUntilItsDeadline(t *testing.T) {
	c := newCrowd(10, func(p *messages.Policy) { p.MaxInFlight, p.QuorumPercent, p.Canaries = 1, 10, 0 })
	c.pass(t, time.Second)
	holder := sortedNames(c.pulls)[0]
	n := c.Nodes[holder]
	n.Fresh = false
	c.Nodes[holder] = n
	c.pass(t, time.Minute)
	if got := c.Record.Turns.Nodes; !slices.Equal(got, []string{holder}) {
		t.Fatalf("a minute later it is the turn of %v", got)
	}
	c.pass(t, 10*time.Minute)
	c.pass(t, time.Second)
	if got := c.Record.Turns.Nodes; len(got) != 1 || got[0] == holder {
		t.Fatalf("after its deadline it is the turn of %v", got)
	}
}

// TestThoseThatFailedOnceFetchToTheirEnd has pulls that take longer than a failing node's turn, after an
// outage in which more nodes failed than may fetch at one time.
func TestThoseThatFailedOnceFetchToTheirEnd(t *testing.T) {
	c := newCrowd(12, func(p *messages.Policy) { p.MaxInFlight, p.QuorumPercent, p.Canaries = 3, 10, 0 })
	c.pass(t, time.Second)
	for _, name := range sortedNames(c.pulls) {
		c.ends(name)
	}
	c.pass(t, time.Second) // flips
	for name, n := range c.Nodes {
		n.Status.Problems = []messages.ImageProblem{{Image: testImage(1), Reason: "the registry does not answer"}}
		c.Nodes[name] = n
	}
	for range 60 {
		for name, n := range c.Nodes {
			i, pulls := c.pulls[name]
			switch was := n.Status.Fetching; {
			case !pulls:
				n.Status.Fetching = nil
			case was == nil:
				n.Status.Fetching = &messages.ImageFetch{Image: i, Bytes: 1}
			default:
				n.Status.Fetching = &messages.ImageFetch{Image: i, Bytes: was.Bytes + 1}
			}
			c.Nodes[name] = n
			if pulls && n.Status.Fetching.Bytes > 6 { // a minute
				c.ends(name)
				n = c.Nodes[name]
				n.Status.Fetching, n.Status.Problems = nil, nil
				c.Nodes[name] = n
			}
		}
		c.pass(t, 10*time.Second)
	}
	for name, n := range c.Nodes {
		if !n.Has(testImage(1)) {
			t.Errorf("%s never has it", name)
		}
	}
	if c.most > 3 || c.Record.Current.Order != 1 {
		t.Errorf("%d fetched at one time, current is %+v", c.most, c.Record.Current)
	}
}
