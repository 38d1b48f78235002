package messages

import "fmt"

// Submodules says which submodules of a repository are fetched for a build.
type Submodules string

// The choices.
const (
	SubmodulesAll      Submodules = "all"       // each, within the builders' rules of what may be reached
	SubmodulesSameHost Submodules = "same-host" // those of the repository's own host; a commit with another one fails
	SubmodulesNone     Submodules = "none"      // none: their folders are empty
)

func (s Submodules) check() error {
	switch s {
	case "", SubmodulesAll, SubmodulesSameHost, SubmodulesNone:
		return nil
	}
	return fmt.Errorf("%q is none of %s, %s and %s", clip(string(s)), SubmodulesAll, SubmodulesSameHost, SubmodulesNone)
}
