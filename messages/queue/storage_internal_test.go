package queue

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestWhyAStreamCanNotBeMade has the answers of clusters.
func TestWhyAStreamCanNotBeMade(t *testing.T) {
	all := []Stream{{Name: "a", Replicas: 3, MaxBytes: 1 << 20}, {Name: "b", Replicas: 3}}
	for what, test := range map[string]struct {
		code  jetstream.ErrorCode
		text  string
		is    error
		wants string
	}{
		"too few servers":              {codeNoPeers, "no suitable peers for placement", ErrUnavailable, "3 copies want"},
		"servers with too little room": {codeNoPeers, "no suitable peers for placement, insufficient storage", ErrFull, "max_file_store"},
		"an account at its limit":      {codeAccountExceeded, "resource limits exceeded for account", ErrFull, "the account's limit"},
		"one that is no bad input":     {jetstream.JSErrCodeBadRequest, "bad request", nil, "bad request"},
	} {
		err := undeclarable(all[0], all, &jetstream.APIError{ErrorCode: test.code, Description: test.text})
		if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.wants) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
