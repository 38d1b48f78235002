package messages

import (
	"strings"
	"testing"
)

func TestASenderWithoutAValidTraceGetsANewOne(t *testing.T) {
	const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	if got := TraceOf(given); got != given {
		t.Errorf("%s became %s", given, got)
	}
	for name, none := range map[string]string{
		"none":                   "",
		"not a traceparent":      "4bf92f3577b34da6a3ce929d0e0e4736",
		"a trace of zeros":       "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01",
		"a span of zeros":        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + strings.Repeat("0", 16) + "-01",
		"upper case hexadecimal": strings.ToUpper(given),
	} {
		if a, b := TraceOf(none), TraceOf(none); !validTraceparent(a) || a == b {
			t.Errorf("%s: a trace was begun as %q, and another as %q", name, a, b)
		}
	}
}

func TestTheIDOfATrace(t *testing.T) {
	if got := TraceID("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"); got != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("it is %q", got)
	}
	for _, none := range []string{"", "00-zz"} {
		if got := TraceID(none); got != "" {
			t.Errorf("that of %q is %q", none, got)
		}
	}
}
