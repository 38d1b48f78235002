package messages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretHides(t *testing.T) {
	const value = "hunter2"
	s := NewSecret(value)
	type exported struct{ Token Secret }
	type unexported struct{ token Secret }
	var out bytes.Buffer
	for _, v := range []any{s, &s, exported{s}, &exported{s}, unexported{s}, &unexported{s}, []Secret{s}, map[string]Secret{"a": s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "secret", s, "in", exported{s})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "secret", s, "in", unexported{s})
	fmt.Fprintln(&out, errors.Join(fmt.Errorf("with %v", s)), s.String(), s.GoString())
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)
	for _, shown := range []string{value, fmt.Sprintf("%x", value)} {
		if strings.Contains(out.String(), shown) {
			t.Errorf("%q is to be seen in\n%s", shown, out.String())
		}
	}
	if s.Reveal() != value || s.IsZero() {
		t.Error("the secret lost its value")
	}
	if z := (Secret{}); z.Reveal() != "" || !z.IsZero() || !NewSecret("").IsZero() {
		t.Error("the zero secret has a value")
	}
}
