package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/fenceline/fenceline/demo/site"
)

// sender sends signed generic webhooks.
type sender struct {
	url string // of the producer
}

// send sends the webhook of a push and returns the build that it started.
func (s sender) send(ctx context.Context, repository, commit string) (string, error) {
	req, err := s.request(ctx, repository, commit)
	if err != nil {
		return "", err
	}
	return s.do(req)
}

// request makes the webhook of a push.
func (s sender) request(ctx context.Context, repository, commit string) (*http.Request, error) {
	hook := site.PushHook(hookSecret, repository, "refs/heads/main", commit)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/hooks/generic", bytes.NewReader(hook.Body))
	if err != nil {
		return nil, fmt.Errorf("making a webhook: %w", err)
	}
	req.Header = hook.Header
	return req, nil
}

// do sends a webhook and returns the build that it started.
func (s sender) do(req *http.Request) (string, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("sending a webhook: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("reading a webhook's answer: %w", err)
	}
	if resp.StatusCode != http.StatusAccepted {
		return "", fmt.Errorf("a webhook is answered with %s: %s", resp.Status, answer)
	}
	var accepted struct {
		Builds []struct {
			Build     string `json:"build"`
			Duplicate bool   `json:"duplicate"`
		} `json:"builds"`
	}
	if err := json.Unmarshal(answer, &accepted); err != nil || len(accepted.Builds) != 1 {
		return "", fmt.Errorf("a webhook's answer is not one build: %s", answer)
	}
	if accepted.Builds[0].Duplicate {
		return "", errors.New("a webhook is taken for one that was sent before")
	}
	return accepted.Builds[0].Build, nil
}

func (r *rig) send(ctx context.Context, repository, commit string) (string, error) {
	return sender{r.url}.send(ctx, repository, commit)
}
