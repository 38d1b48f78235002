package kato

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fenceline/fenceline/fence"
	stackato "github.com/fenceline/fenceline/fence/component"
)

// DefaultLimit is how long one call of kato may take. Setting the fence config takes three.
const DefaultLimit = 10 * time.Second

// Config says how kato is run.
type Config struct {
	Program  string        // kato, as a name in PATH or a path; "" means "kato"
	User     string        // who runs it, with a login's environment; "" for whoever runs this, with what that has
	Limit    time.Duration // of one call; 0 means DefaultLimit
	LockFile string        // what writers of this host lock; "" means DefaultLockFile()
}

// The fields of Config that a FieldError names.
const (
	FieldProgram = "Kato"
	FieldUser    = "KatoUser"
)

// FieldError is an error that another value of a field of Config can mend.
type FieldError struct {
	Field string
	Err   error
}

// Error says what is wrong.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Kato is the fence config of one cluster. Nothing of it is remembered between two calls.
type Kato struct{ c Config }

var _ fence.Backend = (*Kato)(nil)

// New returns the fence config behind kato. It runs nothing yet.
func New(c Config) *Kato {
	c.Program = cmp.Or(c.Program, "kato")
	if strings.Contains(c.Program, "/") { // kato runs in another folder
		if path, err := filepath.Abs(c.Program); err == nil {
			c.Program = path
		}
	}
	c.Limit = cmp.Or(c.Limit, DefaultLimit)
	c.LockFile = cmp.Or(c.LockFile, DefaultLockFile())
	return &Kato{c}
}

// Get reads the setting: the string, or the first of the list.
func (k *Kato) Get(ctx context.Context) (fence.Setting, error) {
	d, err := k.read(ctx)
	if err != nil {
		return fence.Setting{}, fmt.Errorf("reading the fence config: %w", err)
	}
	return d.Setting(), nil
}

func (k *Kato) read(ctx context.Context) (*stackato.Document, error) {
	out, err := k.run(ctx, "config", "get", "-j", component)
	if err != nil {
		return nil, err
	}
	d, err := parse(out)
	if err != nil {
		return nil, fmt.Errorf("%s config get -j %s %w", k.c.Program, component, err)
	}
	return d, nil
}

// Set writes the image: as the string, or as the first of the list. Where kato fails after it wrote, the
// setting is set.
func (k *Kato) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	s, err := k.set(ctx, value, expected)
	if err != nil {
		return fence.Setting{}, fmt.Errorf("setting the fence config: %w", err)
	}
	return s, nil
}

func (k *Kato) set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	if err := fence.CheckValue(value); err != nil {
		return fence.Setting{}, err
	}
	unlock, err := k.lock(ctx)
	if err != nil {
		return fence.Setting{}, err
	}
	defer unlock()
	before, err := k.read(ctx)
	if err != nil {
		return fence.Setting{}, err
	}
	if before.Setting().Revision != expected {
		return fence.Setting{}, fence.ErrConflict
	}
	args, err := naming(before, value)
	if err != nil {
		return fence.Setting{}, err
	}
	_, failed := k.run(ctx, args...)
	after, err := k.read(ctx)
	switch {
	case err == nil && after.Setting().Value == value:
		return after.Setting(), nil
	case failed != nil:
		return fence.Setting{}, failed
	case err != nil:
		return fence.Setting{}, fmt.Errorf("it was set, but can't be read back: %w", err)
	}
	return fence.Setting{}, fmt.Errorf("%s took %s for %s/%s, but it reads back as %q: somebody else may have set it at the same time",
		k.c.Program, value, component, before.Key, after.Setting().Value)
}

// Check tells whether the fence config can be read here, and writers can take their lock: one that is stopped
// with it is told of, too.
func (k *Kato) Check(ctx context.Context) error {
	f, err := openLock(k.c.LockFile)
	if err == nil {
		if h := holderOf(f); isStopped(h) {
			err = fmt.Errorf("the lock %s is held by %s", k.c.LockFile, h)
		}
		err = errors.Join(err, f.Close())
	}
	_, unread := k.Get(ctx)
	return errors.Join(unread, err)
}
