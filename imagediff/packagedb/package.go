package packagedb

import (
	"errors"
	"fmt"
)

// Package is an installed package.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"` // as its manager writes it: with epoch and revision
	Arch    string `json:"arch,omitempty"`
}

const (
	// maxPackages is far above what any image has.
	maxPackages = 100_000
	// maxWord bounds, in bytes, a name, a version and an architecture.
	maxWord = 256
)

// ErrTooMany tells that a database has more packages than any image.
var ErrTooMany = fmt.Errorf("it has more than %d packages", maxPackages)

// packages takes what a database lists.
type packages []Package

func (all *packages) add(p Package) error {
	if p.Name == "" {
		return errors.New("a package has no name")
	}
	if max(len(p.Name), len(p.Version), len(p.Arch)) > maxWord {
		return fmt.Errorf("a package's name, version or architecture has more than %d bytes", maxWord)
	}
	if len(*all) == maxPackages {
		return ErrTooMany
	}
	*all = append(*all, p)
	return nil
}
