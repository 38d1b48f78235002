// Package content fetches what an image is made of, from mirrors and from its registry, for engines that are fed.
// Each part is what its digest says, or an error: a mirror that lies, hangs or is gone costs its time limit, is
// named, and the next one goes on where it broke off.
//
// The files, in reading order:
//
//	content.go  the parts of an image: Opener, New, Open
//	blob.go     one part, as it is read: another place goes on where one breaks off; its digest is proven
//	place.go    a mirror or registry, and how it is asked
//	check.go    whether a mirror can be reached, before it is needed
//	patience.go how long an answer may take
//	health.go   which mirrors are left alone, and why
package content
