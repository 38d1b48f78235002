package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fenceline/fenceline/sinks/form"
	"github.com/fenceline/fenceline/standardwebhooks"
)

const (
	// answerBytes bounds what is read of an answer.
	answerBytes = 8 << 10
	// restTime bounds how long the rest of an answer is read by which an event is taken.
	restTime = time.Second
)

// send tries to deliver an event.
func (s *sink) send(ctx context.Context, it *item, failed bool) result {
	e, err := s.event(it.stored)
	if err == nil && e == nil {
		err = errors.New("it is nothing for sinks")
	}
	if err != nil {
		return result{it, &bodyError{err}}
	}
	_, err = deliver(ctx, &s.Sink, e, s.client, failed, s.w.Answer)
	return result{it, err}
}

// deliver sends a sink an event once, and returns the status of the answer, where there is one.
func deliver(ctx context.Context, s *form.Sink, e *form.Event, c *client, failed bool, within time.Duration) (status string, err error) {
	ask, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer context.AfterFunc(ctx, cancel)()
	taken := false
	defer func() {
		if !taken {
			cancel()
		}
	}()
	req, secrets, err := request(ask, s, e)
	if err != nil {
		return "", err
	}
	doer, err := c.get(s.CAFile, failed)
	if err != nil {
		return "", err
	}
	resp, err := doer.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("it did not answer in %s", within)
		}
		return "", unanswered(req.URL.Host, err)
	}
	if taken = resp.StatusCode >= 200 && resp.StatusCode < 300; taken {
		c.rest(resp.Body, cancel)
		return resp.Status, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, answerBytes)) // what can't be read of it changes nothing
	return resp.Status, answered(resp, body, secrets)
}

// request is the request that delivers an event, and what of it is secret.
func request(ctx context.Context, s *form.Sink, e *form.Event) (*http.Request, []string, error) {
	body, contentType, err := s.Body(e)
	if err != nil {
		return nil, nil, &bodyError{err}
	}
	to, err := address(s)
	if err != nil {
		return nil, nil, err
	}
	signing, err := keys(s)
	if err != nil {
		return nil, nil, err
	}
	with, err := headers(s)
	if err != nil {
		return nil, nil, err
	}
	method := http.MethodPost
	if s.Format == form.Matrix { // a message is put under a name of the sender's choice, so that it is there once
		method = http.MethodPut
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, nil, errors.New("url: it is no address that can be asked")
	}
	secrets := partsOf(req.URL)
	if method == http.MethodPut {
		req.URL = req.URL.JoinPath(e.ID)
	}
	for name, values := range with {
		req.Header[name] = values
		for _, v := range values {
			secrets = append(secrets, v)
			if _, word, ok := strings.Cut(v, " "); ok {
				secrets = append(secrets, word)
			}
		}
	}
	req.Header.Set("Content-Type", contentType)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "fenceline")
	}
	standardwebhooks.Sign(req.Header, e.ID, time.Now(), body, signing...)
	return req, secrets, nil
}
