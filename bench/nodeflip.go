package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// nodeFlips is how often a flip is taken until the node's command.
const nodeFlips = 25

// flipNode takes the time from the decision, as NATS stored it, to the start of the command that a node
// runs once it has written its file; against the same by hand: the file written, synced and moved to its
// place by a shell, that starts the command then.
func flipNode(ctx context.Context, o options) (_ Figure, err error) {
	dir, err := os.MkdirTemp(o.dir, "bench-apply-")
	if err != nil {
		return Figure{}, fmt.Errorf("making a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f := &nodeFlip{started: filepath.Join(dir, "started"), file: filepath.Join(dir, "image"), decided: map[uint64]time.Time{}}
	if err := os.WriteFile(f.started, nil, 0o600); err != nil {
		return Figure{}, fmt.Errorf("making a file: %w", err)
	}
	if f.rig, err = start(ctx, o, []string{"node"}, "node", "--apply", f.file, "--apply-command", f.command()); err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.build(ctx); err != nil {
		return Figure{}, err
	}
	c, err := f.connect(ctx)
	if err != nil {
		return Figure{}, err
	}
	defer c.Close()
	watch, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = store.Fleets(c).Watch(watch, f.see, func() {}) }() // its end shows as a decision that is not seen
	ours, hand, err := pairs(ctx, nodeFlips, f.flip, f.byHand)
	if err != nil {
		return Figure{}, err
	}
	fmt.Fprintf(o.log, "bench: decision to command %v, by hand %v\n", ours, hand)
	ratio := median(ratios(ours, hand))
	return Figure{
		Name: "flip_node_ms", Value: milliseconds(median(ours)), Unit: "ms", Peer: "a shell that writes and syncs the file, and starts the command",
		PeerValue: milliseconds(median(hand)), Ratio: ratio, Target: "at most 3 times its peer", Met: ratio <= 3,
	}, nil
}

// nodeFlip is a fleet of one node that flips to and fro between two images.
type nodeFlip struct {
	*rig
	started string // file to which the command adds when it began
	file    string // that the node writes
	images  []string
	n       int // commands that began

	mu      sync.Mutex
	decided map[uint64]time.Time // epoch to when it was decided
}

func (f *nodeFlip) command() string { return "date +%s%N >>" + f.started }

// build makes two images that the node holds.
func (f *nodeFlip) build(ctx context.Context) error {
	repo, err := f.repository(ctx, "node", "COPY seed /seed\n")
	if err != nil {
		return err
	}
	seed := seeds()
	for range 2 {
		commit, err := f.commit(ctx, repo, seed())
		if err != nil {
			return err
		}
		if _, err := f.send(ctx, repo.URL, commit); err != nil {
			return err
		}
		if _, err := f.await(ctx, func(l site.Line) bool { return l.Step == "flipped" && l.Fleet == fleet }); err != nil {
			return err
		}
		out, err := f.Run(ctx, "config", "get", "fence", "docker/image")
		if err != nil {
			return err
		}
		f.images = append(f.images, strings.TrimSpace(out))
		if _, err := f.began(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect connects to NATS as an operator.
func (f *nodeFlip) connect(ctx context.Context) (*queue.Client, error) {
	client, err := f.Client()
	if err != nil {
		return nil, err
	}
	password, err := os.ReadFile(client.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("reading the operator's password: %w", err)
	}
	space, err := messages.NewSpace("")
	if err != nil {
		return nil, err
	}
	return queue.Connect(ctx, queue.Options{
		URL: client.NATS, User: client.User, Password: messages.NewSecret(strings.TrimSpace(string(password))), Space: space,
		Name: "bench", Source: "/fenceline/bench", Logger: zerolog.Nop(),
	})
}

// see notes when an epoch was decided: by the write that the fence config has not followed yet.
func (f *nodeFlip) see(e queue.Entry[messages.FleetRecord]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Value.Applied.Epoch < e.Value.Epoch && f.decided[e.Value.Epoch].IsZero() {
		f.decided[e.Value.Epoch] = e.Created
	}
}

// last is when the last epoch was decided, and which that is.
func (f *nodeFlip) last() (epoch uint64, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for e, t := range f.decided {
		if e > epoch {
			epoch, at = e, t
		}
	}
	return epoch, at
}

// flip makes the other image current.
func (f *nodeFlip) flip(ctx context.Context) (time.Duration, error) {
	before, _ := f.last()
	f.images[0], f.images[1] = f.images[1], f.images[0]
	if _, err := f.Run(ctx, "promote", fleet, f.images[1]); err != nil {
		return 0, err
	}
	began, err := f.began(ctx)
	if err != nil {
		return 0, err
	}
	epoch, at := f.last()
	if epoch == before {
		return 0, errors.New("the decision was not seen")
	}
	return began.Sub(at), nil
}

// byHand writes the file by hand.
func (f *nodeFlip) byHand(ctx context.Context) (time.Duration, error) {
	by := f.file + ".by-hand"
	script := fmt.Sprintf("echo %s >%s.new && sync %s.new && mv %s.new %s && sync %s && sh -c '%s'", f.images[1], by, by, by, by, filepath.Dir(by), f.command())
	start := time.Now()
	if out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("writing by hand: %w: %s", err, out)
	}
	began, err := f.began(ctx)
	return began.Sub(start), err
}

// began waits for the next command, and returns when it began.
func (f *nodeFlip) began(ctx context.Context) (at time.Time, err error) {
	f.n++
	limit, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("the command was not run"))
	defer cancel()
	err = site.Until(limit, func(context.Context) error {
		b, err := os.ReadFile(f.started)
		if err != nil {
			return err
		}
		lines := strings.Fields(string(b))
		if len(lines) < f.n {
			return fmt.Errorf("%d commands of %d have begun", len(lines), f.n)
		}
		nanoseconds, err := strconv.ParseInt(lines[f.n-1], 10, 64)
		at = time.Unix(0, nanoseconds)
		return err
	})
	return at, err
}
