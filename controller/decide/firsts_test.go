package decide

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// behindMirrors is a crowd of which each third node has another mirror.
func behindMirrors(nodes int, change func(*messages.Policy)) *crowded {
	c := newCrowd(nodes, change)
	for i, name := range c.Members {
		n := c.Nodes[name]
		n.Status.Mirror = fmt.Sprintf("http://rack-%d:5000", i%3)
		c.Nodes[name] = n
	}
	return c
}

func (c *crowded) fetchers() map[string]int {
	out := map[string]int{}
	for name, image := range c.pulls {
		if n := c.Nodes[name]; !c.Record.HeldBack(name, n.Status.Mirror, image) {
			out[n.Status.Mirror]++
		}
	}
	return out
}

func (c *crowded) free(name string) bool {
	image, pulls := c.pulls[name]
	return pulls && !c.Record.HeldBack(name, c.Nodes[name].Status.Mirror, image)
}

// One node per mirror fetches first, under every bound; the others follow once it has the image.
func TestOneNodeFetchesFirstBehindEachMirror(t *testing.T) {
	for _, bound := range []int{0, 1, 2, 30} {
		c := behindMirrors(30, func(p *messages.Policy) { p.Canaries = 0; p.MaxInFlight = bound })
		c.pass(t, 0)
		has := map[string]bool{}
		for passes := 0; len(has) < 3; passes++ {
			if passes > 20 {
				t.Fatalf("bound %d: only %v have the image", bound, has)
			}
			for mirror, n := range c.fetchers() {
				if !has[mirror] && n != 1 {
					t.Fatalf("bound %d: %d nodes fetch through %s that has nothing yet", bound, n, mirror)
				}
			}
			for _, name := range c.Members {
				if c.free(name) {
					c.ends(name)
					has[c.Nodes[name].Status.Mirror] = true
				}
			}
			c.pass(t, time.Second)
		}
		for range 60 {
			for _, name := range c.Members {
				if c.free(name) {
					c.ends(name)
				}
			}
			c.pass(t, time.Second)
		}
		if c.Record.Current.Order != 1 || len(c.Record.Firsts) != 0 {
			t.Fatalf("bound %d: not flipped: %s; firsts %v", bound, c.Rollouts[0].Why, c.Record.Firsts)
		}
	}
}

// A first node that fails, hangs or falls silent is another's turn; where all do, nobody waits.
func TestAFirstNodeThatFailsHoldsUpNobody(t *testing.T) {
	for name, fail := range map[string]func(*Node){
		"fails": func(n *Node) { n.Status.Problems = []messages.ImageProblem{{Image: testImage(1), Reason: "no space"}} },
		"hangs": func(*Node) {}, "silent": func(n *Node) { n.Fresh = false },
	} {
		t.Run(name, func(t *testing.T) {
			c := behindMirrors(9, func(p *messages.Policy) { p.Canaries = 0 })
			c.pass(t, 0)
			var seen []string
			for len(c.Record.Firsts) > 0 {
				if len(seen) > 9 {
					t.Fatalf("still waits: %v", c.Record.Firsts)
				}
				first := c.Record.Firsts[0].Node
				if slices.Contains(seen, first) {
					t.Fatalf("%s is named again, after %v", first, seen)
				}
				seen = append(seen, first)
				for _, f := range c.Record.Firsts {
					n := c.Nodes[f.Node]
					fail(&n)
					c.Nodes[f.Node] = n
				}
				c.pass(t, firstIdle)
				c.pass(t, firstIdle)
			}
			if len(seen) < 2 {
				t.Fatalf("only %v were tried", seen)
			}
		})
	}
}

// An image that the fleet's list leaves out fails its rollout, with the reason, before any node is asked.
func TestARolloutOfAnImageThatIsNotAllowedFails(t *testing.T) {
	s := fleetOf(2, func(p *messages.Policy) { p.PreloadFrom = []string{"r.example.com/ap", "r.example.com.evil.net"} })
	s.settle(t)
	if r := s.Rollouts[0]; r.State != messages.RolloutFailed || !strings.Contains(r.Why, "r.example.com/ap, r.example.com.evil.net only") || s.Record.Preload != nil {
		t.Fatalf("the rollout is %s: %s", r.State, r.Why)
	}
	s = fleetOf(2, func(p *messages.Policy) {
		p.PreloadFrom, p.Pull = []string{"r.example.com/app"}, &messages.Pull{Way: messages.PullLoad}
	})
	s.settle(t)
	if s.Record.Preload == nil || s.Record.PreloadFrom[0] != "r.example.com/app" || s.Record.Pull.Way != messages.PullLoad {
		t.Fatalf("the nodes' record is %+v", s.Record)
	}
}
