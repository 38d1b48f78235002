package exec

import (
	"context"
	"errors"
	"fmt"
	osexec "os/exec"
	"strings"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/messages"
)

// DefaultLimit is how long one call may take where the caller's context has no deadline of its own.
const DefaultLimit = 10 * time.Second

// statusConflict is the exit status of a set command that found another value than the expected one:
// EX_TEMPFAIL of sysexits.h.
const statusConflict = 75

// The fields of Config that errors name.
const (
	FieldGet = "FenceGet"
	FieldSet = "FenceSet"
)

// FieldError is an error about a field of Config.
type FieldError struct {
	Field string
	Err   error
}

// Error says what is wrong.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap is what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// Config says what is run. Both are command lines with a shell's quotes, which no shell reads; {fleet}
// in them stands for the fleet's name.
type Config struct {
	Get   string
	Set   string
	Limit time.Duration // of one call; 0 means DefaultLimit
}

// Commands are both, read.
type Commands struct {
	get, set []string
	limit    time.Duration
}

// New reads the command lines. It runs nothing yet.
func New(c Config) (*Commands, error) {
	get, err := split(c.Get)
	if err != nil {
		return nil, &FieldError{FieldGet, fmt.Errorf("the command that reads the fence config: %w", err)}
	}
	set, err := split(c.Set)
	if err != nil {
		return nil, &FieldError{FieldSet, fmt.Errorf("the command that sets the fence config: %w", err)}
	}
	if c.Limit <= 0 {
		c.Limit = DefaultLimit
	}
	return &Commands{get, set, c.Limit}, nil
}

// Sole tells that the commands have one setting for all fleets: {fleet} does not stand in both.
func (c *Commands) Sole() bool { return !namesFleet(c.get) || !namesFleet(c.set) }

// Fleet is the setting of a fleet.
func (c *Commands) Fleet(name string) *Setting { return &Setting{c, name} }

// Check tells whether both programs are there, and the setting of a fleet can be read.
func (c *Commands) Check(ctx context.Context, fleet string) error {
	var errs []error
	for field, words := range map[string][]string{FieldGet: c.get, FieldSet: c.set} {
		if _, err := osexec.LookPath(words[0]); err != nil {
			errs = append(errs, &FieldError{field, explained(words[0], err)})
		}
	}
	if len(errs) == 0 {
		_, err := c.Fleet(fleet).Get(ctx)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Setting is the fence config of one fleet. Nothing of it is remembered between two calls.
type Setting struct {
	c     *Commands
	fleet string
}

var _ fence.Backend = (*Setting)(nil)

// Get runs the get command. The value is its own revision.
func (s *Setting) Get(ctx context.Context) (fence.Setting, error) {
	value, err := s.get(ctx)
	if err != nil {
		return fence.Setting{}, s.failed("reading", err)
	}
	return fence.Setting{Value: value, Revision: fence.Revision(value)}, nil
}

func (s *Setting) get(ctx context.Context) (string, error) {
	if err := messages.CheckName("fleet", s.fleet); err != nil {
		return "", err
	}
	out, err := s.run(ctx, s.c.get)
	if err != nil {
		return "", err
	}
	value := strings.TrimSuffix(strings.TrimSuffix(out, "\n"), "\r")
	switch {
	case value == "":
		return "", nil
	case strings.ContainsAny(value, "\n\r"):
		return "", fmt.Errorf("%s printed more than one line, %.200q: it is to print the value and nothing else", shown(s.c.get), out)
	}
	if err := fence.CheckValue(value); err != nil {
		return "", fmt.Errorf("%s printed what is no image: %w", shown(s.c.get), err)
	}
	return value, nil
}

// Set runs the set command.
func (s *Setting) Set(ctx context.Context, value string, expected fence.Revision) (fence.Setting, error) {
	if err := s.set(ctx, value, string(expected)); err != nil {
		return fence.Setting{}, s.failed("setting", err)
	}
	return fence.Setting{Value: value, Revision: fence.Revision(value)}, nil
}

func (s *Setting) set(ctx context.Context, value, expected string) error {
	if err := fence.CheckValue(value); err != nil {
		return err
	}
	if err := messages.CheckName("fleet", s.fleet); err != nil {
		return err
	}
	_, err := s.run(ctx, append(s.c.set[:len(s.c.set):len(s.c.set)], value, expected))
	var exit *osexec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == statusConflict {
		return fmt.Errorf("%w (%w)", fence.ErrConflict, err)
	}
	return err
}

func (s *Setting) failed(doing string, err error) error {
	return fmt.Errorf("%s fence %s of fleet %s: %w", doing, fence.Key, s.fleet, err)
}
