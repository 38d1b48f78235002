package apply

import (
	"errors"
	"fmt"
)

// The fields of Config that errors name.
const (
	FieldFile     = "ApplyFile"
	FieldFormat   = "ApplyFormat"
	FieldKey      = "ApplyKey"
	FieldTemplate = "ApplyTemplate"
	FieldCommand  = "ApplyCommand"
	FieldTimeout  = "ApplyTimeout"
	FieldState    = "ApplyState"
)

// FieldError is a setting that can't be carried out.
type FieldError struct {
	Field string
	err   error
}

// Error is the mistake and the fix.
func (e *FieldError) Error() string { return e.err.Error() }

// Unwrap is the cause.
func (e *FieldError) Unwrap() error { return e.err }

func wrong(field, format string, args ...any) error {
	return &FieldError{field, fmt.Errorf(format, args...)}
}

// ErrNotHere tells that the node does not hold the image that is to be applied. It is no failure: the
// image is on its way.
var ErrNotHere = errors.New("this node does not hold the image yet")
