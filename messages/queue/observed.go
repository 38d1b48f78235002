package queue

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Observer is told how requests to the server go. It must not wait.
type Observer interface {
	// Answered is told how long the server took for an answer.
	Answered(took time.Duration)
	// Failed is told the class of an error; see Class.
	Failed(class string)
}

// noFailures are answers like others: of the server that a record is another by now, or not there, of a listener none.
var noFailures = []error{
	ErrMoved, ErrNotFound, ErrExists, ErrLeaseLost, ErrNobody, ErrUnanswered, errGap, jetstream.ErrConsumerNotFound, jetstream.ErrStreamNameAlreadyInUse,
}

// Class names the class of an error, for who counts them: unavailable, full, forbidden, undeclared, too_large or other.
// It is "" for what is no failure of NATS: a record that somebody else wrote first, or that is not there, and who asked
// going away.
func Class(err error) string {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return ""
	case slices.ContainsFunc(noFailures, func(e error) bool { return errors.Is(err, e) }):
		return ""
	case errors.Is(err, ErrUnavailable): // before the class that it may have, too: nobody answers
		return "unavailable"
	case errors.Is(err, ErrFull):
		return "full"
	case errors.Is(err, ErrForbidden):
		return "forbidden"
	case errors.Is(err, ErrUndeclared):
		return "undeclared"
	case errors.Is(err, ErrTooLarge):
		return "too_large"
	}
	return "other"
}

// observe tells of a request that was sent then.
func (c *Client) observe(began time.Time, err error) {
	if c.observer == nil {
		return
	}
	if class := Class(err); class != "" {
		c.observer.Failed(class)
		return
	}
	if err == nil {
		c.observer.Answered(time.Since(began))
	}
}

// refused tells of an error, and returns it.
func (c *Client) refused(err error) error {
	if class := Class(err); class != "" && c.observer != nil {
		c.observer.Failed(class)
	}
	return err
}

// RoundTrip is how long a ping takes.
func (c *Client) RoundTrip(ctx context.Context) (time.Duration, error) {
	if !c.Connected() { // a ping would wait for the connection
		return 0, fmt.Errorf("asking NATS for a sign of life: %w: not connected", ErrUnavailable)
	}
	began := time.Now()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return 0, fmt.Errorf("asking NATS for a sign of life: %w", c.refused(classify(err)))
	}
	return time.Since(began), nil
}

// Reconnects counts how often the connection was found again.
func (c *Client) Reconnects() uint64 { return c.nc.Stats().Reconnects }

// Certificates tells when the server's certificate ends and when the client's does; zero where there is none.
func (c *Client) Certificates() (server, client time.Time) {
	if s, err := c.nc.TLSConnectionState(); err == nil && len(s.PeerCertificates) > 0 {
		server = s.PeerCertificates[0].NotAfter
	}
	if c.way.CertFile != "" {
		if content, err := os.ReadFile(c.way.CertFile); err == nil {
			client = endOf(content)
		}
	}
	return server, client
}

// endOf is when the first certificate of a PEM file ends; zero where it has none.
func endOf(content []byte) time.Time {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if leaf, err := x509.ParseCertificate(block.Bytes); err == nil {
			return leaf.NotAfter
		}
	}
	return time.Time{}
}

// Account tells how many bytes the streams of the account take on disk, and how many they may: 0 for no limit.
func (c *Client) Account(ctx context.Context) (used uint64, limit int64, err error) {
	m, err := c.ask(ctx, "$JS.API.INFO", nil)
	if err != nil {
		return 0, 0, err
	}
	type tier struct {
		Storage uint64 `json:"storage"`
		Limits  struct {
			Storage int64 `json:"max_storage"`
		} `json:"limits"`
	}
	var a struct {
		tier
		Tiers map[string]tier     `json:"tiers"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return 0, 0, fmt.Errorf("reading what the account takes: %w", err)
	}
	if a.Error != nil {
		return 0, 0, c.refused(classify(a.Error))
	}
	used, limit = a.Storage, a.Limits.Storage
	for _, t := range a.Tiers { // an account with limits for each number of copies has them there alone
		limit += max(t.Limits.Storage, 0)
	}
	return used, max(limit, 0), nil
}
