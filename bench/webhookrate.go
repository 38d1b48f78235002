package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"golang.org/x/sync/errgroup"
)

const (
	intakePipelines = 16
	intakeAtOnce    = 64
	intakeBatch     = 1000 // of each kind, in a round
	intakeRounds    = 15
)

// intake takes how many webhooks a second are accepted, each verified and stored before it is
// answered, against plain JetStream publishes of the same bytes to the same kind of stream
// on the same server.
func intake(ctx context.Context, o options) (_ Figure, err error) {
	b, err := startBroker(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	address, err := site.Address("127.0.0.1:0")
	if err != nil {
		return Figure{}, err
	}
	config, err := intakeConfig(b.dir)
	if err != nil {
		return Figure{}, err
	}
	producer, err := b.role(o.program, "producer", "--config", config, "--listen", address)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, producer.Stop(stopTimeout)) }()
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := site.Ready(ready, producer, "http://"+address); err != nil {
		return Figure{}, fmt.Errorf("waiting for the producer: %w\n%s", err, producer.Tail(15))
	}
	plain, err := b.connect(ctx, "plain")
	if err != nil {
		return Figure{}, err
	}
	defer plain.Close()
	hooks := hookLoad(ctx, address)
	first, err := hooks(1) // for its size
	if err == nil {
		err = first(ctx, 1)
	}
	if err != nil {
		return Figure{}, err
	}
	request, err := storedRequest(ctx, b)
	if err != nil {
		return Figure{}, err
	}
	return intakeRoundsOf(ctx, o, hooks, plainLoad(plain, request))
}

// load does something for each number below n, intakeAtOnce at a time.
type load func(ctx context.Context, n int) error

func intakeRoundsOf(ctx context.Context, o options, hooks func(n int) (load, error), plain load) (Figure, error) {
	var ours, peer []float64
	rate := func(l load) (float64, error) {
		start := time.Now()
		err := l(ctx, intakeBatch)
		return intakeBatch / time.Since(start).Seconds(), err
	}
	for i := range intakeRounds + 1 {
		prepared, err := hooks(intakeBatch)
		if err != nil {
			return Figure{}, err
		}
		var rates [2]float64 // of the hooks and of their peer, in turns the one and the other first
		for _, k := range []int{i % 2, 1 - i%2} {
			if rates[k], err = rate([]load{prepared, plain}[k]); err != nil {
				return Figure{}, err
			}
		}
		if i > 0 { // the first round warms up
			ours, peer = append(ours, rates[0]), append(peer, rates[1])
		}
	}
	fmt.Fprintf(o.log, "bench: hooks a second %.0f, plain publishes %.0f\n", ours, peer)
	ratio := median(ratios(ours, peer))
	return Figure{
		Name: "intake_ratio", Value: ratio, Unit: "ratio", Peer: "JetStream publishes a second", PeerValue: median(peer), Ratio: ratio,
		Target: "at least 0.70", Met: ratio >= 0.7,
	}, nil
}

func intakeRepository(i int) string { return fmt.Sprintf("http://git.example.com/pipeline-%d.git", i) }

func intakeConfig(dir string) (string, error) {
	var yaml strings.Builder
	yaml.WriteString("version: 1\npipelines:\n")
	for i := range intakePipelines {
		fmt.Fprintf(&yaml, "  - name: pipeline-%d\n    repository: %s\n    image: registry.example.com/bench/pipeline-%d\n    webhook: {secret_file: hook.secret}\n",
			i, intakeRepository(i), i)
	}
	config := filepath.Join(dir, "fenceline.yaml")
	return config, errors.Join(
		os.WriteFile(filepath.Join(dir, "hook.secret"), []byte(hookSecret), 0o600),
		os.WriteFile(config, []byte(yaml.String()), 0o600),
	)
}

// hookLoad makes n webhooks when it is called, and sends them when the load is: signing is
// the sender's work. They go over connections that stay open.
func hookLoad(ctx context.Context, address string) func(n int) (load, error) {
	pushes := 0
	return func(n int) (load, error) {
		requests := make([][]byte, n)
		for i := range requests {
			pushes++
			hook := site.PushHook(hookSecret, intakeRepository(i%intakePipelines), "refs/heads/main", fmt.Sprintf("%040x", pushes))
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/hooks/generic", bytes.NewReader(hook.Body))
			if err != nil {
				return nil, fmt.Errorf("making a webhook: %w", err)
			}
			req.Header = hook.Header
			var b bytes.Buffer
			if err := req.Write(&b); err != nil {
				return nil, fmt.Errorf("making a webhook: %w", err)
			}
			requests[i] = b.Bytes()
		}
		return func(ctx context.Context, n int) error {
			lines := lines{address: address, idle: make(chan *line, intakeAtOnce)}
			defer lines.close()
			return atOnce(ctx, n, func(ctx context.Context, i int) error { return lines.send(ctx, requests[i]) })
		}, nil
	}
}

func plainLoad(c *queue.Client, body []byte) load {
	return func(ctx context.Context, n int) error {
		return atOnce(ctx, n, func(ctx context.Context, i int) error {
			_, err := c.Store(ctx, c.Space().RequestSubject(fmt.Sprintf("pipeline-%d", i%intakePipelines)), messages.Message{Body: body})
			return err
		})
	}
}

func atOnce(ctx context.Context, n int, do func(context.Context, int) error) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(n, intakeAtOnce) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				if err := do(ctx, i); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// storedRequest is what the producer stores for a webhook: headers as they are sent, and body.
func storedRequest(ctx context.Context, b *broker) ([]byte, error) {
	c, err := b.connect(ctx, messages.DefaultPrefix)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var stored bytes.Buffer
	err = c.Read(ctx, c.Space().RequestsStream(), queue.ReadOptions{}, func(r queue.Received) error {
		m, err := messages.Encode(r.Envelope, r.Payload)
		if err != nil {
			return err
		}
		stored.Reset()
		if err := http.Header(m.Headers).Write(&stored); err != nil {
			return err
		}
		stored.WriteString("\r\n")
		stored.Write(m.Body)
		return nil
	})
	if err == nil && stored.Len() == 0 {
		err = errors.New("the producer stored no request")
	}
	return stored.Bytes(), err
}
