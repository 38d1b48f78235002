package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/fenceline/fenceline/console/tokens"
	"github.com/fenceline/fenceline/demo/site"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// What a console shows in its figures.
const (
	consoleNodes = 10_000
	consolePages = 100
	consoleRuns  = 15
	consoleBeats = 10 * time.Second // of each node
)

// shown is a console that runs alone, with a fleet whose nodes beat, and somebody who has signed in.
type shown struct {
	broker  *broker
	queue   *queue.Client
	process *site.Process
	url     string
	client  *http.Client
	stop    func()
	beating chan struct{}
}

func showFleet(ctx context.Context, o options) (_ *shown, err error) {
	s := &shown{stop: func() {}, beating: make(chan struct{})}
	close(s.beating)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.broker, err = startBroker(ctx, o); err != nil {
		return s, err
	}
	if s.queue, err = s.broker.connect(ctx, ""); err != nil {
		return s, err
	}
	if err := s.fill(ctx); err != nil {
		return s, err
	}
	file := filepath.Join(s.broker.dir, "console-tokens")
	token, entry, err := tokens.Make("bench", tokens.Operator, time.Now())
	if err == nil {
		err = tokens.Add(file, entry)
	}
	address := ""
	if err == nil {
		address, err = site.Address("127.0.0.1:0")
	}
	if err != nil {
		return s, err
	}
	if s.process, err = s.broker.role(o.program, "console", "--console-tokens-file", file, "--listen", address); err != nil {
		return s, err
	}
	s.url = "http://" + address
	if err := s.signIn(ctx, token); err != nil {
		return s, fmt.Errorf("%w\n%s", err, s.process.Tail(15))
	}
	beats, stop := context.WithCancel(ctx)
	s.stop, s.beating = stop, make(chan struct{})
	go func() { defer close(s.beating); s.beat(beats) }()
	return s, nil
}

// fill writes the fleet's record and its nodes.
func (s *shown) fill(ctx context.Context) error {
	record := messages.FleetRecord{Fleet: fleet, ID: "bench", Epoch: 1, Decision: "x", Current: messages.FleetImage{Image: consoleImage}, Applied: messages.Applied{Epoch: 1}}
	if _, err := store.Fleets(s.queue).Create(ctx, fleet, record); err != nil {
		return err
	}
	for n := range consoleNodes {
		node := consoleNode(n)
		if err := store.Members(s.queue).Note(messages.NodeKey(fleet, node), messages.Member{Fleet: fleet, Node: node, Joined: time.Now()}); err != nil {
			return err
		}
		if err := s.say(n, ""); err != nil {
			return err
		}
	}
	return nil
}

const consoleImage = messages.Image("registry.example.com/base@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")

func consoleNode(n int) string { return fmt.Sprintf("node-%05d", n) }

// say sends a node's heartbeat, as one with ten containers has it.
func (s *shown) say(n int, problem string) error {
	v := messages.NodeStatus{
		Fleet: fleet, Node: consoleNode(n), Instance: "bench", Beat: 1, Interval: messages.Duration(consoleBeats), Version: "bench", Revision: 1, FreeBytes: 1 << 35,
		Engine: messages.Engine{Name: "docker", Version: "29.0.0", API: "1.52", ID: "engine-" + consoleNode(n), Error: problem},
		Images: []messages.PresentImage{{Image: consoleImage, ID: "sha256:bbbb", Local: "fenceline/bench:a"}}, Labels: map[string]string{"rack": fmt.Sprint(n % 40)},
	}
	for c := range 10 {
		v.Containers = append(v.Containers, messages.ContainerUse{Container: fmt.Sprintf("app-%d", c), Image: "fenceline/bench:a"})
	}
	return store.Nodes(s.queue).Note(messages.NodeKey(fleet, v.Node), v)
}

// beat sends every node's heartbeats until ctx ends, spread over the time between two.
func (s *shown) beat(ctx context.Context) {
	tick := time.NewTicker(consoleBeats / 100)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for range consoleNodes / 100 {
			_ = s.say(n%(consoleNodes-1), "") // the last one is asked to change; what is lost comes again
			n++
		}
	}
}

func (s *shown) signIn(ctx context.Context, token messages.Secret) error {
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := site.Ready(ready, s.process, s.url); err != nil {
		return fmt.Errorf("waiting for the console: %w", err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	s.client = &http.Client{Jar: jar, Transport: &http.Transport{MaxIdleConnsPerHost: consolePages}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/sign-in", strings.NewReader(url.Values{"token": {token.Reveal()}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.client.Do(r)
	if err == nil {
		err = resp.Body.Close()
	}
	return err
}

func (s *shown) get(ctx context.Context, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return nil, err
	}
	return s.client.Do(r)
}

// page fetches the fleet's page with all its nodes.
func (s *shown) page(ctx context.Context) (string, error) {
	resp, err := s.get(ctx, "/fleets/"+fleet+"?per=10000")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if n := strings.Count(string(body), `<a id="n-`); err == nil && n != consoleNodes {
		err = fmt.Errorf("the page has %d of %d nodes", n, consoleNodes)
	}
	return string(body), err
}

var consoleEvents = regexp.MustCompile(`data-events="([^"]*)"`)

// open opens a page as a browser does: the page, and then its changes.
func (s *shown) open(ctx context.Context) (*http.Response, error) {
	page, err := s.page(ctx)
	if err != nil {
		return nil, err
	}
	m := consoleEvents.FindStringSubmatch(page)
	if m == nil {
		return nil, errors.New("the page has no changes")
	}
	return s.get(ctx, strings.ReplaceAll(m[1], "&amp;", "&"))
}

func (s *shown) close() (err error) {
	s.stop()
	<-s.beating
	if s.process != nil {
		err = s.process.Stop(stopTimeout)
	}
	if s.queue != nil {
		s.queue.Close()
	}
	if s.broker != nil {
		err = errors.Join(err, s.broker.close())
	}
	return err
}

// consolePage takes the time of a fleet's page with all its nodes, which beat, from the request to the last byte.
func consolePage(ctx context.Context, o options) (_ Figure, err error) {
	s, err := showFleet(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var took []float64
	for range consoleRuns {
		began := time.Now()
		if _, err := s.page(ctx); err != nil {
			return Figure{}, err
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
	}
	fmt.Fprintf(o.log, "bench: the page took %.0f ms\n", took)
	ms := median(took)
	return Figure{
		Name: "console_10000_ms", Value: ms, Unit: "ms", Peer: "the target", PeerValue: 300, Ratio: ms / 300, Target: "at most 300", Met: ms <= 300,
	}, nil
}

// consoleStream takes the bytes that a page of all nodes gets for the change of one.
func consoleStream(ctx context.Context, o options) (_ Figure, err error) {
	s, err := showFleet(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	resp, err := s.open(ctx)
	if err != nil {
		return Figure{}, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	event := func() (string, error) {
		for text := ""; ; {
			line, err := lines.ReadString('\n')
			if text += line; err != nil || line == "\n" {
				return text, err
			}
		}
	}
	if _, err := event(); err != nil { // the time between tries
		return Figure{}, err
	}
	if _, err := event(); err != nil { // what stands above the nodes
		return Figure{}, err
	}
	if err := s.say(consoleNodes-1, "permission denied"); err != nil {
		return Figure{}, err
	}
	changed := `id="n-` + consoleNode(consoleNodes-1) + `"`
	text := ""
	for !strings.Contains(text, changed) {
		if text, err = event(); err != nil {
			return Figure{}, err
		}
	}
	kib := float64(len(text)) / 1024
	return Figure{
		Name: "console_stream_kib", Value: kib, Unit: "KiB", Peer: "the target", PeerValue: 4, Ratio: kib / 4, Target: "at most 4", Met: kib <= 4,
	}, nil
}

// consoleMemory takes the memory of a console with so many open pages of all nodes, which beat.
func consoleMemory(ctx context.Context, o options) (_ Figure, err error) {
	s, err := showFleet(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for range consolePages {
		resp, err := s.open(ctx) //nolint:bodyclose // closed at the end: each page stays open until then
		if err != nil {
			return Figure{}, err
		}
		defer resp.Body.Close()
		go func() { _, _ = io.Copy(io.Discard, resp.Body) }() // it ends with the page
	}
	if err := watch(ctx, s.process, settle, func() error { return nil }); err != nil {
		return Figure{}, err
	}
	return resident(ctx, "console_rss_mb", s.process, 150)
}
