package confdis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// connection is the client of the address that is in force, and where that is.
func (s *Store) connection() (*redis.Client, where, error) {
	uri, field, err := s.config.address()
	if err != nil {
		return nil, where{}, &FieldError{field, err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && uri == s.uri {
		return s.client, s.at, nil
	}
	o, err := s.config.options(uri)
	if err != nil {
		return nil, where{}, fieldError(field, err)
	}
	if s.client != nil {
		_ = s.client.Close() // whoever is in the middle of a call gets an error, and asks again
	}
	s.client, s.uri = redis.NewClient(o), uri
	s.at = where{fmt.Sprintf("Redis at %s, database %d", o.Addr, o.DB), o.TLSConfig != nil}
	return s.client, s.at, nil
}

func fieldError(field string, err error) error {
	var named *FieldError
	if errors.As(err, &named) {
		return err
	}
	return &FieldError{field, err}
}

// options are a client's. It tries nothing twice by itself: a transaction that is repeated on another
// connection has lost its WATCH.
func (c Config) options(uri string) (*redis.Options, error) {
	silence()
	o, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	if err := c.trust(o); err != nil {
		return nil, err
	}
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.Limit, c.Limit, c.Limit, c.Limit
	o.PoolSize, o.MinIdleConns = 4, 0
	o.ConnMaxIdleTime = 5 * time.Minute
	// Stackato's Redis is older than these.
	o.Protocol, o.DisableIdentity = 2, true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// silence keeps the library from writing to stderr: what it has to say is in the errors.
var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) }) //nolint:gochecknoglobals // so is the library's logger

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
