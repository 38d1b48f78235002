package standalone

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrInUse is returned for a state folder that another process has open.
	ErrInUse = errors.New("state folder is in use")
	// ErrLayout is returned for a state folder of another layout, or for a folder that is
	// something else.
	ErrLayout = errors.New("state folder has another layout")
	// ErrDiskFull is returned when too little is free on the disk of the state folder.
	ErrDiskFull = errors.New("the disk is full")
	// ErrNoProgram is returned when a program that runs as a child is not installed.
	ErrNoProgram = errors.New("program is not installed")
)

// Service names a server that listens, so that a caller can say which of its settings to change.
type Service string

// The services that listen.
const (
	ServiceHTTP     Service = "HTTP"
	ServiceConsole  Service = "the console"
	ServiceHealth   Service = "health"
	ServiceRegistry Service = "registry"
	ServiceNATS     Service = "NATS"
)

// ListenError is returned when a service can't listen where it should.
type ListenError struct {
	Service Service
	Address string
	Err     error
}

// Error says who can't listen, where, and why.
func (e *ListenError) Error() string {
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		return fmt.Sprintf("%s can't listen on %s: another process uses the port", e.Service, e.Address)
	}
	return fmt.Sprintf("%s can't listen on %s: %v", e.Service, e.Address, e.Err)
}

// Unwrap returns what the system said.
func (e *ListenError) Unwrap() error { return e.Err }
