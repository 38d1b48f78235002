// Package registry asks registries which image a tag names: one question by HEAD, which registries don't count as a
// pull, with the login that the folder of logins has for the registry.
//
// Files, in reading order:
//
//	registry.go  Config, New; whose tag is asked for, and how its registry is spoken to
//	head.go      the question, and what the answer says
package registry
