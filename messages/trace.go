package messages

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// TraceOf is a sender's traceparent (W3C Trace Context), or that of a new trace where the sender gave
// none, or one that is not valid.
func TraceOf(given string) string {
	if validTraceparent(given) {
		return given
	}
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-01"
}

// validTraceparent tells whether s is version 00 of W3C Trace Context. IDs of zeros alone
// mean none.
func validTraceparent(s string) bool {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	trace, span, flags := s[3:35], s[36:52], s[53:]
	return hexadecimal(trace, 32) && hexadecimal(span, 16) && hexadecimal(flags, 2) &&
		strings.Trim(trace, "0") != "" && strings.Trim(span, "0") != ""
}

// TraceID is the ID of a traceparent's trace, by which logs and traces are searched; "" where that is not valid.
func TraceID(traceparent string) string {
	if !validTraceparent(traceparent) {
		return ""
	}
	return traceparent[3:35]
}
