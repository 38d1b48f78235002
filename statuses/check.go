package statuses

import (
	"context"

	"github.com/fenceline/fenceline/reach"
	"github.com/fenceline/fenceline/statuses/target"
)

// Check looks whether a target's forge would take statuses, as far as that can be seen without telling it one.
func Check(ctx context.Context, t target.Target) (found string, err error) {
	token, err := readToken(t.TokenFile)
	if err != nil {
		return "", explain(t, err)
	}
	transport, err := reach.Outward(t.CAFile)
	if err != nil {
		return "", err
	}
	defer transport.CloseIdleConnections()
	c, err := newClient(t, token, transport)
	if err != nil {
		return "", err
	}
	found, err = c.mayTell(ctx)
	if err != nil {
		return "", explain(t, err)
	}
	return found, nil
}
