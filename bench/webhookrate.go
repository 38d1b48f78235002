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
	intakeBatchOne  = 150  // where there is one client
	intakeRounds    = 15
)

// intake takes how many webhooks a second of 64 clients are accepted, each verified and stored before it is
// answered, against plain JetStream publishes of the same bytes to the same kind of stream
// on the same server, as many at once.
func intake(ctx context.Context, o options) (Figure, error) {
	return intakePlain(ctx, o, Figure{Name: "intake_ratio", Target: "at least 1.5"}, intakeAtOnce, 1.5)
}

// intakeOne is intake of one client, for which nothing can be stored together.
func intakeOne(ctx context.Context, o options) (Figure, error) {
	return intakePlain(ctx, o, Figure{Name: "intake_1_ratio", Target: "at least 0.9"}, 1, 0.9)
}

func intakePlain(ctx context.Context, o options, f Figure, clients int, least float64) (_ Figure, err error) {
	p, err := startIntake(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	plain, err := p.broker.connect(ctx, "plain")
	if err != nil {
		return Figure{}, err
	}
	defer plain.Close()
	first, err := p.hooks(1, genericHook) // for its size
	if err == nil {
		err = first(ctx, 1, 1)
	}
	if err != nil {
		return Figure{}, err
	}
	request, err := storedRequest(ctx, p.broker)
	if err != nil {
		return Figure{}, err
	}
	f.Peer = "JetStream publishes a second"
	other := plainLoad(plain, request)
	return intakeRoundsOf(ctx, o, f, clients, least, func(n int) (ours, peer load, err error) {
		ours, err = p.hooks(n, genericHook)
		return ours, other, err
	})
}

// intakeRig is a producer that runs alone, with its broker.
type intakeRig struct {
	broker   *broker
	producer *site.Process
	address  string
	pushes   int // so far
}

func startIntake(ctx context.Context, o options, more ...string) (_ *intakeRig, err error) {
	p := &intakeRig{}
	if p.broker, err = startBroker(ctx, o); err != nil {
		return nil, err
	}
	if err := p.start(ctx, o, more...); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *intakeRig) start(ctx context.Context, o options, more ...string) (err error) {
	if p.address, err = site.Address("127.0.0.1:0"); err != nil {
		return err
	}
	config, err := intakeConfig(p.broker.dir)
	if err != nil {
		return err
	}
	// Its limits are for others: here a few repositories are all there are.
	args := append([]string{"--config", config, "--listen", p.address, "--repository-limit", "0"}, more...)
	if p.producer, err = p.broker.role(o.program, "producer", args...); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := site.Ready(ready, p.producer, "http://"+p.address); err != nil {
		return fmt.Errorf("waiting for the producer: %w\n%s", err, p.producer.Tail(15))
	}
	return nil
}

func (p *intakeRig) close() (err error) {
	if p.producer != nil {
		err = p.producer.Stop(stopTimeout)
	}
	return errors.Join(err, p.broker.close())
}

// load does something for each number below n, so many at a time.
type load func(ctx context.Context, n, clients int) error

// intakeRoundsOf compares rates: sides makes what is sent in a round.
func intakeRoundsOf(ctx context.Context, o options, f Figure, clients int, least float64, sides func(n int) (ours, peer load, err error)) (Figure, error) {
	var ours, peer []float64
	n := intakeBatch
	if clients == 1 {
		n = intakeBatchOne
	}
	rate := func(l load) (float64, error) {
		start := time.Now()
		err := l(ctx, n, clients)
		return float64(n) / time.Since(start).Seconds(), err
	}
	for i := range intakeRounds + 1 {
		one, other, err := sides(n)
		if err != nil {
			return Figure{}, err
		}
		var rates [2]float64 // of the hooks and of their peer, in turns the one and the other first
		for _, k := range []int{i % 2, 1 - i%2} {
			if rates[k], err = rate([]load{one, other}[k]); err != nil {
				return Figure{}, err
			}
		}
		if i > 0 { // the first round warms up
			ours, peer = append(ours, rates[0]), append(peer, rates[1])
		}
	}
	fmt.Fprintf(o.log, "bench: hooks a second %.0f, %s %.0f\n", ours, f.Peer, peer)
	ratio := median(ratios(ours, peer))
	f.Value, f.Unit, f.PeerValue, f.Ratio, f.Met = ratio, "ratio", median(peer), ratio, ratio >= least
	return f, nil
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

// hookForm makes the webhook of a push, and the path that it goes to.
type hookForm func(repository, commit string) (path string, hook site.Hook)

func genericHook(repository, commit string) (string, site.Hook) {
	return "/hooks/generic", site.PushHook(hookSecret, repository, "refs/heads/main", commit)
}

// hooks makes n webhooks when it is called, and sends them when the load is: signing is
// the sender's work. They go over connections that stay open.
func (p *intakeRig) hooks(n int, form hookForm) (load, error) {
	requests := make([][]byte, n)
	for i := range requests {
		p.pushes++
		path, hook := form(intakeRepository(i%intakePipelines), fmt.Sprintf("%040x", p.pushes))
		var err error
		if requests[i], err = written(p.address+path, hook); err != nil {
			return nil, err
		}
	}
	return posts(p.address, requests, http.StatusAccepted), nil
}

// written is a request as it is sent.
func written(to string, hook site.Hook) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+to, bytes.NewReader(hook.Body)) //nolint:noctx // it is only written down
	if err != nil {
		return nil, fmt.Errorf("making a webhook: %w", err)
	}
	req.Header = hook.Header
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		return nil, fmt.Errorf("making a webhook: %w", err)
	}
	return b.Bytes(), nil
}

// posts sends requests, and wants a status for each.
func posts(address string, requests [][]byte, want int) load {
	return func(ctx context.Context, n, clients int) error {
		lines := lines{address: address, want: want, idle: make(chan *line, clients)}
		defer lines.close()
		return atOnce(ctx, n, clients, func(ctx context.Context, i int) error { return lines.send(ctx, requests[i]) })
	}
}

func plainLoad(c *queue.Client, body []byte) load {
	return func(ctx context.Context, n, clients int) error {
		return atOnce(ctx, n, clients, func(ctx context.Context, i int) error {
			_, err := c.Store(ctx, c.Space().RequestSubject(fmt.Sprintf("pipeline-%d", i%intakePipelines)), messages.Message{Body: body})
			return err
		})
	}
}

func atOnce(ctx context.Context, n, clients int, do func(context.Context, int) error) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range min(n, clients) {
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
