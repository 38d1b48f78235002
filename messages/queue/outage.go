package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages/queue/diagnosis"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// outageLook is how often the reason is looked at for which a connection does not come back.
const outageLook = time.Second

// deafLook is how often it is looked whether answers can come again.
const deafLook = 2 * time.Second

// outages is what is known of a connection that does not work.
type outages struct {
	mu   sync.Mutex
	down error // why the server was not reached again, as last tried
	deaf error // why no answer can come, while the server is reached
}

func (o *outages) deafened(why error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deaf = why
}

func (o *outages) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = err
}

func (o *outages) get() (down, deaf error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down, o.deaf
}

// hears makes sure that answers can come: that the user may subscribe to this client's inboxes.
// A user that is meant for something else may not, and would wait in vain for each answer.
func (c *Client) hears(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	sub, err := c.nc.SubscribeSync(c.nc.NewInbox() + ".*")
	if err != nil {
		return classify(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return classify(err)
	}
	if _, err := sub.NextMsg(time.Nanosecond); errors.Is(err, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w: %s may not read its answers, at %s.>", ErrForbidden, c.way.Who(), c.inbox)
	}
	return nil
}

// hearsStill looks again after a reconnect, and after the server said that it takes a subscription
// to an inbox away. What was let in before may be so again: it is waited for.
func (c *Client) hearsStill() {
	if c.listening.Add(1) > 1 {
		return // who looks already looks again
	}
	for was := false; ; {
		asked := c.listening.Load()
		err := c.hears(context.Background())
		switch {
		case errors.Is(err, ErrForbidden) && !was:
			was = true
			c.outages.deafened(err)
			c.log.Error().Err(err).Msg("NATS has changed what this user may do: no answer comes until it may again, trying again all the time")
		case err == nil && was:
			c.outages.deafened(nil)
			c.log.Info().Msg("this user may read its answers again")
			_ = c.nc.ForceReconnect() // the server has dropped the subscriptions
			was = false
		case err == nil:
			c.outages.deafened(nil)
		}
		if err == nil && c.listening.CompareAndSwap(asked, 0) {
			return
		}
		select {
		case <-c.closed:
			return
		case <-time.After(deafLook):
		}
	}
}

// deafness is the reason why no answer can come, as a failure that may pass.
func (c *Client) deafness() error {
	if _, deaf := c.outages.get(); deaf != nil {
		return fmt.Errorf("%w: %s", ErrUnavailable, deaf.Error())
	}
	return nil
}

// ownInbox tells whether the server refuses a subscription to this client's inboxes.
func (c *Client) ownInbox(err error) bool {
	m := refusedSubscription.FindStringSubmatch(err.Error())
	return m != nil && strings.HasPrefix(m[1], c.inbox+".")
}

var refusedSubscription = regexp.MustCompile(`(?i)permissions violation for subscription to "([^"]+)"`)

// connectError says why connecting failed and what to do. It has ErrUnavailable where trying
// again can help, ErrForbidden where the server refuses the credential.
func connectError(w diagnosis.Way, err error) error {
	if errors.Is(err, ErrForbidden) { // it says what and why
		return fieldError(fmt.Errorf("connecting to NATS at %s: %w: give the credential that belongs to what is started, or the prefix of the inboxes that this one may read",
			w.Server, err), FieldInboxPrefix)
	}
	found := w.Explain(err)
	if found.Hidden {
		return fmt.Errorf("connecting to NATS at %s: %s", w.Server, found.Fix)
	}
	switch found.Class {
	case diagnosis.Unreachable:
		err = join(ErrUnavailable, err)
	case diagnosis.Refused:
		err = &refusedError{err}
	case diagnosis.Unusable:
	}
	return fieldError(fmt.Errorf("connecting to NATS at %s: %w: %s", w.Server, err, found.Fix), found.Fields...)
}

// outage says why the server is not reached.
func (c *Client) outage(nc *nats.Conn) error {
	down, _ := c.outages.get()
	if last := nc.LastError(); last != nil && (diagnosis.IsRefusal(last) || diagnosis.IsTLS(last) || diagnosis.IsCrowded(last)) {
		down = last // the server answered, and this is what it, or its certificate, said
	}
	if down == nil {
		return nil
	}
	return connectError(c.way, down)
}

// followOutage logs why the server is not reached again, once for each reason.
func (c *Client) followOutage(nc *nats.Conn, again <-chan struct{}) {
	told := ""
	tick := time.NewTicker(outageLook)
	defer tick.Stop()
	for {
		select {
		case <-again:
			return
		case <-c.closed:
			return
		case <-tick.C:
		}
		if err := c.outage(nc); err != nil && err.Error() != told {
			told = err.Error()
			c.log.Warn().Err(err).Msg("no connection to NATS, trying again all the time")
		}
	}
}

// ErrNoJetStream tells that the account has no JetStream, which waiting does not change.
var ErrNoJetStream = errors.New("JetStream is off for the account")

// checkJetStream asks JetStream whether it is there. ErrForbidden where the user may not ask.
func (c *Client) checkJetStream(ctx context.Context) error {
	answer, err := c.ask(ctx, "$JS.API.INFO", nil)
	if err == nil {
		var info struct {
			Error *jetstream.APIError `json:"error"`
		}
		if err = json.Unmarshal(answer.Data, &info); err == nil && info.Error != nil {
			err = info.Error
		}
		if err != nil {
			_ = c.refused(classify(err))
		}
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount {
		return fmt.Errorf("%w of %s: enable it in the account's block of the server's configuration (jetstream: enabled), or in the account's JWT", join(ErrNoJetStream, err), c.way.Who())
	}
	switch {
	case err == nil, errors.Is(err, ErrForbidden), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, ErrUndeclared):
		return fmt.Errorf("%w: JetStream is off: add a jetstream block to the server's configuration; a leaf node, or a cluster that just starts, may need a moment", ErrUnavailable)
	case api != nil && api.ErrorCode != codeClusterUnavailable && api.ErrorCode != codeClusterNotLeader:
		return classify(err)
	}
	return fmt.Errorf("%w: JetStream gives no answer: of a cluster, more than half of the servers have to run and reach each other", ErrUnavailable)
}
