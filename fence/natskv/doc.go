// Package natskv keeps fence configs in a NATS key-value bucket: the embedded fence config
// of fleets that have none of their own.
//
// The files, in reading order:
//
//	natskv.go   Config: the setting, by compare-and-set
//	cause.go    what a value comes from is kept in its headers
//	journal.go  Journal: what a setting was that lives in another store
package natskv
