package backends

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/confdis"
	"github.com/fenceline/fenceline/fence/exec"
	"github.com/fenceline/fenceline/fence/kato"
	"github.com/fenceline/fenceline/fence/natskv"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// RedisURIFile is where the address of a cluster's Redis is read from by default.
const RedisURIFile = confdis.DefaultURIFile

// FieldKind is the field of Config that says which place is the default.
const FieldKind = "FenceKind"

// FieldError is an error that setting some fields of Config otherwise can mend.
type FieldError struct {
	Fields []string
	Err    error
}

// Error says what is wrong.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Config says where fence configs can live, and in which place they do by default. What a place needs that
// is not the default is needed for the fleets alone whose policy names it.
type Config struct {
	Kind               string // of messages.FenceKinds; "" means natskv
	Kato, KatoUser     string // the program, and who runs it; see kato.Config
	FenceGet, FenceSet string // command lines; see exec.Config

	RedisURI, RedisURIFile                   string // of the Redis behind a cluster; see confdis.Config
	RedisCAFile, RedisCertFile, RedisKeyFile string
}

// Backends opens fence configs. The zero value knows the installation's own bucket alone.
type Backends struct {
	kind    string
	kato    *kato.Kato
	confdis *confdis.Store
	exec    *exec.Commands // nil where none are given
	explain func(error) error
}

// Explain has every error of the places that are opened pass through f, as for those who know how the
// fields are set that a FieldError names.
func (b *Backends) Explain(f func(error) error) { b.explain = f }

// New returns the places. It asks nothing yet, but reads what is given for them.
func New(c Config) (*Backends, error) {
	b := &Backends{kind: cmp.Or(c.Kind, messages.FenceNATS)}
	if err := messages.CheckFence(b.kind); err != nil {
		return nil, &FieldError{[]string{FieldKind}, err}
	}
	b.kato = kato.New(kato.Config{Program: c.Kato, User: c.KatoUser})
	if at, err := url.Parse(c.RedisURI); err == nil && at.User != nil {
		if _, has := at.User.Password(); has {
			return nil, &FieldError{[]string{confdis.FieldURI, confdis.FieldURIFile}, errors.New("the address of Redis has a password in it, which a setting would show: keep it in a file")}
		}
	}
	var err error
	b.confdis, err = confdis.New(confdis.Config{
		RedisURI: c.RedisURI, RedisURIFile: c.RedisURIFile, RedisCAFile: c.RedisCAFile, RedisCertFile: c.RedisCertFile, RedisKeyFile: c.RedisKeyFile,
	})
	if err != nil {
		return nil, named(err)
	}
	if c.FenceGet != "" || c.FenceSet != "" {
		if b.exec, err = exec.New(exec.Config{Get: c.FenceGet, Set: c.FenceSet}); err != nil {
			return nil, named(err)
		}
	}
	if b.kind != messages.FenceNATS {
		if _, err := b.open(b.kind, "default"); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// open is a place without its journal.
func (b *Backends) open(kind, fleet string) (fence.Place, error) {
	switch kind {
	case messages.FenceKato:
		if b.kato != nil {
			return fence.Place{Backend: b.kato, Sole: true}, nil
		}
	case messages.FenceConfdis:
		if b.confdis != nil {
			return fence.Place{Backend: b.confdis, Sole: true}, nil
		}
	case messages.FenceExec:
		if b.exec == nil {
			return fence.Place{}, &FieldError{[]string{exec.FieldGet, exec.FieldSet}, fmt.Errorf("the fence config is to live in %s, and no commands are given that read and set it", kind)}
		}
		return fence.Place{Backend: b.exec.Fleet(fleet), Sole: b.exec.Sole()}, nil
	}
	if err := messages.CheckFence(kind); err != nil {
		return fence.Place{}, err
	}
	return fence.Place{}, fmt.Errorf("no fence config in %s is known here", kind)
}

// Factory opens them for an installation.
func (b *Backends) Factory(q *queue.Client) fence.Factory {
	return func(fleet, kind string) (fence.Place, error) {
		kind = cmp.Or(kind, b.kind, messages.FenceNATS)
		if kind == messages.FenceNATS {
			return fence.Place{Backend: natskv.New(q, fleet), Kind: kind}, nil
		}
		p, err := b.open(kind, fleet)
		p.Backend, p.Kind, p.Journal = explained{p.Backend, b.said}, kind, natskv.NewJournal(q, fleet, kind)
		return p, b.said(err)
	}
}

// said is an error as it is told to people.
func (b *Backends) said(err error) error {
	if err = named(err); b.explain != nil && err != nil {
		return b.explain(err)
	}
	return err
}

// explained is a Backend whose errors are told to people.
type explained struct {
	fence.Backend
	said func(error) error
}

// Get reads the setting.
func (e explained) Get(ctx context.Context) (fence.Setting, error) {
	s, err := e.Backend.Get(ctx)
	return s, e.said(err)
}

// Set writes it.
func (e explained) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	s, err := e.Backend.Set(ctx, value, expected)
	return s, e.said(err)
}

// Check tells whether the default place can be read, and says which it is. The installation's own bucket is
// there with the installation: it is not asked for here.
func (b *Backends) Check(ctx context.Context) (found string, err error) {
	switch b.kind {
	case messages.FenceKato:
		err = b.kato.Check(ctx)
	case messages.FenceConfdis:
		err = b.confdis.Check(ctx)
	case messages.FenceExec:
		err = b.exec.Check(ctx, "default")
	}
	return b.kind, named(err)
}

// named is a backend's error with its field.
func named(err error) error {
	var command *exec.FieldError
	var redis *confdis.FieldError
	var program *kato.FieldError
	switch {
	case errors.As(err, &program):
		return &FieldError{[]string{program.Field}, err}
	case errors.As(err, &command):
		return &FieldError{[]string{command.Field}, err}
	case errors.As(err, &redis):
		return &FieldError{[]string{redis.Field}, err}
	}
	return err
}

// History is what a fleet's fence config was, oldest first, wherever it lived.
func History(ctx context.Context, q *queue.Client, fleet string) ([]fence.Change, error) {
	own, err := natskv.New(q, fleet).History(ctx)
	noted, errNoted := natskv.NewJournal(q, fleet, "").History(ctx)
	all := slices.Concat(own, noted)
	slices.SortStableFunc(all, func(a, b fence.Change) int { return a.At.Compare(b.At) })
	return all, errors.Join(err, errNoted)
}
