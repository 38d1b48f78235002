package git

import "errors"

// Errors of Head, each wrapped with the repository, the cause and the fix.
var (
	// ErrUnreachable: the repository's host could not be reached, answered with an error
	// of its own, or git could not be run. It may work later or elsewhere.
	ErrUnreachable = errors.New("repository can't be reached")
	// ErrDenied: the host wants a credential, or refused the one it was given.
	ErrDenied = errors.New("access to the repository is denied")
	// ErrNoRepository: the host has no such repository, or hides it from this credential.
	ErrNoRepository = errors.New("no such repository")
	// ErrNotAllowed: the rules don't allow it to be reached.
	ErrNotAllowed = errors.New("it may not be reached")
	// ErrNoBranch: the repository has no such branch.
	ErrNoBranch = errors.New("no such branch")
	// ErrNoTag: the repository has no such tag.
	ErrNoTag = errors.New("no such tag")
	// ErrNoCommit: the repository has no such commit, or doesn't give it out.
	ErrNoCommit = errors.New("no such commit")
)
