package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/fenceline/fenceline/demo/site"
)

// intakePeer takes how many webhooks a second of 64 clients are accepted, against Debian's webhook daemon, which checks the
// signature of the same bodies, runs /bin/true and answers then. It stores nothing.
func intakePeer(ctx context.Context, o options) (Figure, error) {
	return intakeDaemon(ctx, o, Figure{Name: "intake_peer_ratio", Target: "at least 1"}, intakeAtOnce, 1)
}

// intakePeerOne is intakePeer of one client. It has no target: the one stores, and the other starts a process.
func intakePeerOne(ctx context.Context, o options) (Figure, error) {
	return intakeDaemon(ctx, o, Figure{Name: "intake_peer_1_ratio", Target: "shown"}, 1, 0)
}

func intakeDaemon(ctx context.Context, o options, f Figure, clients int, least float64) (_ Figure, err error) {
	p, err := startIntake(ctx, o)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	daemon, address, err := startDaemon(ctx, p.broker.dir)
	if err != nil {
		return Figure{}, err
	}
	defer func() { err = errors.Join(err, daemon.Stop(stopTimeout)) }()
	f.Peer = "hooks a second of webhook with /bin/true"
	return intakeRoundsOf(ctx, o, f, clients, least, func(n int) (ours, peer load, err error) {
		first := p.pushes
		if ours, err = p.hooks(n, githubHook); err != nil {
			return nil, nil, err
		}
		same := make([][]byte, n)
		for i := range same {
			_, hook := githubHook(intakeRepository(i%intakePipelines), fmt.Sprintf("%040x", first+i+1))
			if same[i], err = written(address+"/hooks/bench", hook); err != nil {
				return nil, nil, err
			}
		}
		return ours, posts(address, same, http.StatusOK), nil
	})
}

// githubHook is a push as GitHub sends it, whose signature both know.
func githubHook(repository, commit string) (string, site.Hook) {
	body, _ := json.Marshal(map[string]any{ // it doesn't fail
		"ref": "refs/heads/main", "before": strings.Repeat("1", 40), "after": commit, "forced": false,
		"repository": map[string]any{"clone_url": repository, "full_name": "ops/base", "default_branch": "main"},
		"pusher":     map[string]any{"name": "tests"}, "commits": []any{map[string]any{"id": commit, "message": "Mend it", "modified": []string{"Dockerfile"}}},
	})
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	return "/hooks/github", site.Hook{Body: body, Header: http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
	}}
}

// startDaemon starts the webhook daemon.
func startDaemon(ctx context.Context, dir string) (*site.Process, string, error) {
	program, err := exec.LookPath("webhook")
	if err != nil {
		return nil, "", fmt.Errorf("%w: make bench installs it (Debian: apt-get install webhook)", err)
	}
	address, err := site.Address("127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", err
	}
	config, err := json.Marshal([]map[string]any{{
		"id": "bench", "execute-command": "/bin/true", "include-command-output-in-response": true,
		"trigger-rule": map[string]any{"match": map[string]any{
			"type": "payload-hmac-sha256", "secret": hookSecret, "parameter": map[string]any{"source": "header", "name": "X-Hub-Signature-256"},
		}},
	}})
	if err != nil {
		return nil, "", err
	}
	file := filepath.Join(dir, "webhook.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, "", err
	}
	d, err := site.Start(site.Program{Path: program, Args: []string{"-hooks", file, "-ip", "127.0.0.1", "-port", port}})
	if err != nil {
		return nil, "", err
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = watch(ready, d, startTimeout, func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil //nolint:nilerr // not yet
		}
		return errors.Join(errEnough, conn.Close())
	})
	if !errors.Is(err, errEnough) {
		return nil, "", errors.Join(fmt.Errorf("waiting for webhook: %w: %s", err, d.Tail(15)), d.Stop(stopTimeout))
	}
	return d, address, nil
}
