package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fenceline/fenceline/demo/site"
)

// look is run in a container of the image: what is installed, and what the hook exports to
// the programs that follow it.
const look = `%s
. /etc/stackato/hooks/pre-running
for name in $(echo "$STACKATO_HOOK_ENV" | tr , ' '); do env | grep "^$name="; done`

// prove looks at the image from outside: the fence config names it, a container from it
// has what the Dockerfile installs and what the hook exports.
func (s *stage) prove(ctx context.Context, image, released string) error {
	s.begin("the proof, from outside: fenceline config get fence docker/image; docker run")
	value, err := s.fence(ctx)
	if err != nil {
		return err
	}
	if value != image {
		return fmt.Errorf("the fence config has %s, but %s was flipped", value, image)
	}
	s.step("fence config", "%s", value)
	installed, want := "dpkg -s libgraphite2-dev | grep -E '^(Package|Status|Version)'", "Status: install ok installed"
	if s.small {
		installed, want = "ls /etc/stackato/hooks", "pre-running"
	}
	out, err := site.Docker(ctx, "run", "--rm", "--network", "none", value, "bash", "-c", fmt.Sprintf(look, installed))
	if err != nil {
		return fmt.Errorf("starting a container from %s: %w", value, err)
	}
	s.step("container", "started from it:")
	s.note(out)
	for _, w := range []string{want + "\n", "=" + released + "\n"} {
		if !strings.Contains(out, w) {
			return fmt.Errorf("the container of %s does not show %q: the image is not the one that was pushed", value, strings.TrimSpace(w))
		}
	}
	s.took("proof", "container", time.Since(s.began))
	return nil
}

// brokenPush pushes a hook that would stop every app, and sees it refused.
func (s *stage) brokenPush(ctx context.Context, current string) error {
	s.begin("a third push: its pre-running hook lacks the closing fi")
	commit, err := s.push(ctx, "with a broken hook", func(hook string) string {
		return hook + "\nif [ -z \"$NEW_RELIC_LICENSE_KEY\" ]; then\n  export NEW_RELIC_LICENSE_KEY=none\n"
	})
	if err != nil {
		return err
	}
	lines, err := s.follow(ctx, "broken push", commit, "failed")
	if err != nil {
		return err
	}
	f := lines["failed"].Failure
	if f == nil || len(f.Findings) == 0 || !strings.HasSuffix(f.Findings[0].File, "pre-running") || f.Findings[0].Line == 0 || f.Findings[0].Fix == "" {
		return fmt.Errorf("the refusal does not name the hook's file and line and the fix: %+v", f)
	}
	value, err := s.fence(ctx)
	if err != nil {
		return err
	}
	if value != current {
		return fmt.Errorf("the fence config moved to %s after a refused build", value)
	}
	s.step("fence config", "has not moved: %s", value)
	return nil
}

// rollback makes the first image current again, with a hold, and releases it.
func (s *stage) rollback(ctx context.Context, first string) error {
	s.begin("fenceline rollback: the image before is current again, and held; then fenceline release")
	if _, err := s.fenceline.Run(ctx, "rollback"); err != nil {
		return err
	}
	value, err := s.awaitFence(ctx, first)
	if err != nil {
		return err
	}
	s.step("rolled back", "%s", value)
	s.took("rollback", "fence config", time.Since(s.began))
	held, err := s.held(ctx)
	if err != nil {
		return err
	}
	if !held {
		return fmt.Errorf("the fleet has no hold after a rollback")
	}
	s.step("held", "newer images are fetched, but not used")
	if _, err := s.fenceline.Run(ctx, "release"); err != nil {
		return err
	}
	if held, err = s.held(ctx); err != nil {
		return err
	}
	if held {
		return fmt.Errorf("the fleet is still held after a release")
	}
	s.step("released", "the next push flips again")
	s.took("rollback", "in all", time.Since(s.began))
	return nil
}

func (s *stage) awaitFence(ctx context.Context, want string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("not within 30 seconds"))
	defer cancel()
	var value string
	err := site.Until(ctx, func(ctx context.Context) (err error) {
		value, err = s.fence(ctx)
		if err == nil && value != want {
			err = fmt.Errorf("the fence config has %s, not %s", value, want)
		}
		return err
	})
	return value, err
}

// status is what the demo reads of `fenceline status -o json`.
type status struct {
	Fleets []struct {
		Record struct {
			Hold *struct{} `json:"hold"`
		} `json:"record"`
	} `json:"fleets"`
}

// held tells whether the fleet has a hold. One that nothing is known of yet has none.
func (s *stage) held(ctx context.Context) (bool, error) {
	var st status
	if err := s.fenceline.JSON(ctx, &st, "status"); err != nil {
		return false, err
	}
	if len(st.Fleets) > 1 {
		return false, fmt.Errorf("fenceline status shows %d fleets, not one", len(st.Fleets))
	}
	return len(st.Fleets) == 1 && st.Fleets[0].Record.Hold != nil, nil
}

// node is what the demo reads of `fenceline nodes -o json`.
type node struct {
	Status struct {
		Images []struct {
			Image string `json:"image"`
		} `json:"images"`
	} `json:"status"`
}

// finish sees that the fleet still has the image and every node holds it, ends everything, and
// prints the table.
func (s *stage) finish(ctx context.Context, image string) error {
	value, err := s.fence(ctx)
	if err != nil {
		return err
	}
	if value != image {
		return fmt.Errorf("after the release the fence config has %s, not %s", value, image)
	}
	nodes, err := s.present(ctx, image)
	if err != nil {
		return err
	}
	s.begin("the end: everything that was started is ended")
	if err := s.end(); err != nil {
		return err
	}
	s.table()
	fmt.Fprintf(s.out, "\ndemo: ok image=%s nodes=%d/%d\n", image, nodes, nodes)
	return nil
}

// present waits until every node reports the image, and counts them.
func (s *stage) present(ctx context.Context, image string) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, fmt.Errorf("not within 30 seconds"))
	defer cancel()
	var nodes []node
	err := site.Until(ctx, func(ctx context.Context) error {
		if err := s.fenceline.JSON(ctx, &nodes, "nodes"); err != nil {
			return err
		}
		holding := 0
		for _, n := range nodes {
			for _, i := range n.Status.Images {
				if i.Image == image {
					holding++
				}
			}
		}
		if holding != len(nodes) || holding == 0 {
			return fmt.Errorf("%d of %d nodes have %s", holding, len(nodes), image)
		}
		return nil
	})
	return len(nodes), err
}
