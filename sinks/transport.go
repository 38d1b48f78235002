package sinks

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/fenceline/fenceline/reach"
)

// restMost is how many answers are read to their end at one time beside what is sent next, which waits beyond that.
const restMost = 8

// client keeps the connections to a sink.
type client struct {
	mu      sync.Mutex
	made    *http.Client
	inner   *http.Transport
	resting chan struct{} // has one for each answer that is read to its end
}

func newClient() *client { return &client{resting: make(chan struct{}, restMost)} }

// get is the client, made anew where the last try failed, so that a file of certificate authorities that was changed counts.
func (c *client) get(caFile string, failed bool) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made != nil && !failed {
		return c.made, nil
	}
	t, err := reach.Outward(caFile)
	if err != nil {
		return nil, err
	}
	t.MaxIdleConnsPerHost, t.MaxResponseHeaderBytes = atOnce+restMost, 64<<10
	c.idle()
	c.inner = t
	c.made = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c.made, nil
}

// rest reads an answer to its end by which an event is taken, so that its connection serves another event. What is sent next does
// not wait for that: many servers send the end 40 ms later, once the start of it is acknowledged (Nagle's algorithm).
func (c *client) rest(body io.ReadCloser, cancel func()) {
	c.resting <- struct{}{}
	go func() {
		late := time.AfterFunc(restTime, cancel)
		_, _ = io.CopyN(io.Discard, body, answerBytes)
		body.Close()
		late.Stop()
		cancel()
		<-c.resting
	}()
}

// close waits for what is read of answers: a connection that is closed before is an error to who answers.
func (c *client) close() {
	for range restMost {
		c.resting <- struct{}{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle()
}

func (c *client) idle() {
	if c.inner != nil {
		c.inner.CloseIdleConnections()
	}
}
