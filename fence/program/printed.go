package program

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Printed keeps what a program prints on one of its outputs, up to a bound that ends it. (An embedded buffer
// would be read into past Write.)
type Printed struct {
	Most int                     // bytes
	Full context.CancelCauseFunc // called with a TooMuchError once there are more
	kept []byte
}

// TooMuchError tells that a program printed more than it may.
type TooMuchError struct{ Most int }

// Error says how much that is.
func (e TooMuchError) Error() string { return fmt.Sprintf("it printed more than %d bytes", e.Most) }

// Bytes is what was kept.
func (p *Printed) Bytes() []byte { return p.kept }

// Write keeps b.
func (p *Printed) Write(b []byte) (int, error) {
	if len(p.kept)+len(b) > p.Most {
		err := TooMuchError{p.Most}
		p.Full(err)
		return 0, err
	}
	p.kept = append(p.kept, b...)
	return len(b), nil
}

// Environment is this process's, without fenceline's own settings, some of which name secrets.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FENCELINE_") })
}
