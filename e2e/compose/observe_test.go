package compose

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/fenceline/fenceline/freeport"
)

// targets is what Prometheus says of what it scrapes.
type targets struct {
	Data struct {
		ActiveTargets []struct {
			Health, LastError, ScrapeURL string
		}
	}
}

// asked reads an answer of Prometheus's API.
func asked(ctx context.Context, url string, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// TestObserve has the Prometheus of the profile of that name find every process of every role, and read the rules.
func TestObserve(t *testing.T) {
	if err := images("scripts/images observe", "fenceline-prometheus:local"); err != nil {
		t.Fatal(err)
	}
	address, err := freeport.Of("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	env := map[string]string{"FENCELINE_HEALTH_LISTEN": "0.0.0.0:8443", "FENCELINE_PROMETHEUS_PORT": port}
	s, err := startWith(running, mark+"-observe", 1, env, "observe")
	if s != nil {
		s.onFailure(t)
		t.Cleanup(func() {
			if err := s.end(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + address
	const processes = 1 + 2 + 2 + 3 // of the producer, controllers, builders and nodes
	await(t, "every process to be scraped", func(ctx context.Context) error {
		var answer targets
		if err := asked(ctx, url+"/api/v1/targets", &answer); err != nil {
			return err
		}
		up := 0
		for _, target := range answer.Data.ActiveTargets {
			if target.Health == "up" {
				up++
			}
		}
		if up != processes {
			return fmt.Errorf("%d of %d are up: %+v", up, processes, answer.Data.ActiveTargets)
		}
		return nil
	})
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health string }
			}
		}
	}
	await(t, "the rules to be evaluated", func(ctx context.Context) error {
		if err := asked(ctx, url+"/api/v1/rules", &rules); err != nil {
			return err
		}
		if len(rules.Data.Groups) != 1 || len(rules.Data.Groups[0].Rules) < 10 {
			return fmt.Errorf("it has %+v", rules.Data)
		}
		for _, r := range rules.Data.Groups[0].Rules {
			if r.Health != "ok" {
				return fmt.Errorf("the rule %s is %s", r.Name, r.Health)
			}
		}
		return nil
	})
}
