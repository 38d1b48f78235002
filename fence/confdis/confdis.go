package confdis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/component"
)

// DefaultURIFile is where Stackato's nodes keep the address of their Redis.
const DefaultURIFile = "/s/etc/kato/redis_uri"

// DefaultLimit is how long one call may take.
const DefaultLimit = 10 * time.Second

// name is the component, and so the key in Redis. That fence's is this is inferred from the others'.
const name = "fence"

// The channel that a writer publishes on, and what Stackato's own client in Go says there.
const (
	channel = name + ":_changes"
	message = "confdis"
)

// Config says where Redis is.
type Config struct {
	// RedisURI is redis://[USER:PASSWORD@]HOST:PORT/DATABASE, rediss:// for TLS, or unix://PATH.
	RedisURI string
	// RedisURIFile holds such a URI, as Stackato's redis_uri does. It is read again at each call, so that
	// another primary node or password needs no restart. Without both it is DefaultURIFile.
	RedisURIFile string
	// RedisCAFile is the certificate authority of Redis, in place of the system's.
	RedisCAFile string
	// RedisCertFile and RedisKeyFile are what this client shows, where Redis asks for it.
	RedisCertFile, RedisKeyFile string
	// Limit is how long one call may take; 0 means DefaultLimit.
	Limit time.Duration
}

// The fields that errors name.
const (
	FieldURI      = "RedisURI"
	FieldURIFile  = "RedisURIFile"
	FieldCAFile   = "RedisCAFile"
	FieldCertFile = "RedisCertFile"
	FieldKeyFile  = "RedisKeyFile"
)

// FieldError is a fault in a field of Config.
type FieldError struct {
	Field string // its name in Config
	Err   error
}

// Error is Err's text.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Store is the fence config of one cluster. Connections are made when they are needed, and again when
// they are lost.
type Store struct {
	config Config

	mu     sync.Mutex
	client *redis.Client // of address; nil before the first call
	uri    string        // that address was read from
	at     where
}

var _ fence.Backend = (*Store)(nil)

// New returns the fence config in a Redis. It connects to nothing yet, and reads no file. A URI that is
// none is refused by a *FieldError.
func New(c Config) (*Store, error) {
	c.Limit = cmp.Or(c.Limit, DefaultLimit)
	if c.RedisURI != "" && c.RedisURIFile != "" {
		return nil, &FieldError{FieldURI, errors.New("the address of Redis is given twice, by a URI and by a file: leave one out")}
	}
	if c.RedisURI != "" {
		if _, err := parseURI(c.RedisURI); err != nil {
			return nil, &FieldError{FieldURI, err}
		}
	} else {
		c.RedisURIFile = cmp.Or(c.RedisURIFile, DefaultURIFile)
	}
	return &Store{config: c}, nil
}

// Get reads the setting: the image that the component's document names, the first where it is a list.
func (s *Store) Get(ctx context.Context) (fence.Setting, error) {
	var d *component.Document
	err := s.call(ctx, func(ctx context.Context, c *redis.Client) (err error) {
		d, err = document(ctx, c)
		return err
	})
	if err != nil {
		return fence.Setting{}, fmt.Errorf("reading the fence config: %w", err)
	}
	return d.Setting(), nil
}

// Set writes the image into the document, if it still names what it did at the expected revision. What
// else the document holds may have changed meanwhile; it is kept as it stands there.
func (s *Store) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	err := fence.CheckValue(value)
	var set fence.Setting
	if err == nil {
		err = s.call(ctx, func(ctx context.Context, c *redis.Client) (err error) {
			set, err = write(ctx, c, value, expected)
			return err
		})
	}
	if err != nil {
		return fence.Setting{}, fmt.Errorf("setting the fence config: %w", err)
	}
	return set, nil
}

// Check tells whether the fence config can be read and written. It begins a write and drops it, so that
// Redis says what it would refuse, and nothing is changed.
func (s *Store) Check(ctx context.Context) error {
	err := s.call(ctx, func(ctx context.Context, c *redis.Client) error {
		if _, err := document(ctx, c); err != nil {
			return err
		}
		return rehearse(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("checking the fence config: %w", err)
	}
	return nil
}

// call does something with Redis, in time, and says of an error where that was.
func (s *Store) call(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.config.Limit, fmt.Errorf("no answer within %s", s.config.Limit))
	defer cancel()
	c, at, err := s.connection()
	if err != nil {
		return err
	}
	if err := do(ctx, c); err != nil {
		return explained(ctx, err, at)
	}
	return nil
}

// Close ends the connections. What is called later makes new ones.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return nil
	}
	err := s.client.Close()
	s.client, s.uri = nil, ""
	if err != nil {
		return fmt.Errorf("closing connections to Redis: %w", err)
	}
	return nil
}

// document reads the component's document.
func document(ctx context.Context, c redis.Cmdable) (*component.Document, error) {
	text, err := c.Get(ctx, name).Bytes()
	if err != nil {
		return nil, err
	}
	d, err := component.Read(text)
	if err != nil {
		return nil, &documentError{err}
	}
	return d, nil
}
