package messages

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func encoded(t testing.TB, p Payload) Message {
	t.Helper()
	m, err := Encode(sampleEnvelope(), p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDecodeRefuses(t *testing.T) {
	good := func() Message { return encoded(t, &BuildCancelled{BuildRef: BuildRef{Build: "b-1", Pipeline: "b"}}) }
	for name, c := range map[string]struct {
		change func(*Message)
		want   error
	}{
		"no headers":               {func(m *Message) { m.Headers = nil }, ErrMalformed},
		"another specversion":      {func(m *Message) { m.Headers[headerSpecVersion] = []string{"0.3"} }, ErrMalformed},
		"no ID":                    {func(m *Message) { delete(m.Headers, headerID) }, ErrMalformed},
		"a header without values":  {func(m *Message) { m.Headers[headerID] = nil }, ErrMalformed},
		"no source":                {func(m *Message) { delete(m.Headers, headerSource) }, ErrMalformed},
		"no type":                  {func(m *Message) { delete(m.Headers, headerType) }, ErrMalformed},
		"half a percent code":      {func(m *Message) { m.Headers[headerID] = []string{"a%2"} }, ErrMalformed},
		"a bad percent code":       {func(m *Message) { m.Headers[headerID] = []string{"a%zz"} }, ErrMalformed},
		"not UTF-8":                {func(m *Message) { m.Headers[headerID] = []string{"%ff"} }, ErrMalformed},
		"a time that is none":      {func(m *Message) { m.Headers[headerTime] = []string{"yesterday"} }, ErrMalformed},
		"a time out of all years":  {func(m *Message) { m.Headers[headerTime] = []string{"9999-12-31T23:59:59-23:00"} }, ErrMalformed},
		"a newer version":          {func(m *Message) { m.Headers[headerType] = []string{"dev.fenceline.build.cancelled.v2"} }, ErrNewer},
		"a much newer version":     {func(m *Message) { m.Headers[headerType] = []string{"dev.fenceline.build.cancelled.v10"} }, ErrNewer},
		"a version before all":     {func(m *Message) { m.Headers[headerType] = []string{"dev.fenceline.build.cancelled.v0"} }, ErrUnknown},
		"a version that is none":   {func(m *Message) { m.Headers[headerType] = []string{"dev.fenceline.build.cancelled.vx"} }, ErrUnknown},
		"no version":               {func(m *Message) { m.Headers[headerType] = []string{"dev.fenceline.build.cancelled"} }, ErrUnknown},
		"another kind":             {func(m *Message) { m.Headers[headerType] = []string{"dev.fenceline.build.eaten.v1"} }, ErrUnknown},
		"somebody else's type":     {func(m *Message) { m.Headers[headerType] = []string{"com.example.build.cancelled.v1"} }, ErrUnknown},
		"an empty body":            {func(m *Message) { m.Body = nil }, ErrMalformed},
		"a body that is no object": {func(m *Message) { m.Body = json.RawMessage(`[1]`) }, ErrMalformed},
		"a null body":              {func(m *Message) { m.Body = json.RawMessage(`null`) }, ErrMalformed},
		"a field of another kind":  {func(m *Message) { m.Body = json.RawMessage(`{"build":7}`) }, ErrMalformed},
		"a field that is missing":  {func(m *Message) { m.Body = json.RawMessage(`{"build":"b-1"}`) }, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			m := good()
			c.change(&m)
			if _, p, err := Decode(m); !errors.Is(err, c.want) || p != nil {
				t.Errorf("Decode gives %v and error %v, want %v", p, err, c.want)
			}
		})
	}
}

func TestDecodeIgnoresWhatItDoesNotKnow(t *testing.T) {
	m := encoded(t, &BuildCancelled{BuildRef: BuildRef{Build: "b-1", Pipeline: "b"}, By: "ann"})
	m.Headers["ce-later"] = []string{"x"}
	m.Headers[headerTraceparent] = []string{"00-zz"}
	m.Body = json.RawMessage(`{"build":"b-1","pipeline":"b","by":"ann","later":{"deep":[1,2]}}`)
	e, p, err := DecodeAs[*BuildCancelled](m)
	if err != nil || p.By != "ann" || e.Traceparent != "" {
		t.Errorf("got %+v, %+v, %v", e, p, err)
	}
}

func TestDecodeMatchesHeadersInAnyCase(t *testing.T) {
	m := encoded(t, &BuildCancelled{BuildRef: BuildRef{Build: "b-1", Pipeline: "b"}})
	upper := Headers{}
	for k, v := range m.Headers {
		upper[strings.ToUpper(k)] = v
	}
	m.Headers = upper
	if e, _, err := Decode(m); err != nil || e != sampleEnvelope() {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestDecodeAsRefusesAnotherType(t *testing.T) {
	m := encoded(t, &BuildCancelled{BuildRef: BuildRef{Build: "b-1", Pipeline: "b"}})
	if _, p, err := DecodeAs[*ImageReady](m); !errors.Is(err, ErrUnknown) || p != nil {
		t.Errorf("got %v, %v", p, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	payload := &BuildCancelled{BuildRef: BuildRef{Build: "b-1", Pipeline: "b"}}
	for name, c := range map[string]struct {
		e Envelope
		p Payload
	}{
		"no ID":             {Envelope{Source: "/x"}, payload},
		"no source":         {Envelope{ID: "1"}, payload},
		"not UTF-8":         {Envelope{ID: "1", Source: "/x", Subject: "\xff"}, payload},
		"year 10000":        {Envelope{ID: "1", Source: "/x", Time: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, payload},
		"a payload's fault": {sampleEnvelope(), &BuildCancelled{}},
	} {
		if _, err := Encode(c.e, c.p); err == nil {
			t.Errorf("%s is encoded", name)
		}
	}
}

func TestHeadersStayOnTheirLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Envelope{
			ID:      rapid.StringN(1, 50, -1).Draw(t, "id"),
			Source:  rapid.StringN(1, 50, -1).Draw(t, "source"),
			Subject: rapid.String().Draw(t, "subject") + "\r\nevil: yes",
		}
		m, err := Encode(e, &BuildCancelled{BuildRef: BuildRef{Build: "b-1", Pipeline: "b"}})
		if err != nil {
			t.Fatal(err)
		}
		for k, vs := range m.Headers {
			for _, c := range []byte(strings.Join(vs, "")) {
				if c <= ' ' || c >= 0x7f {
					t.Fatalf("header %s holds byte %#x", k, c)
				}
			}
		}
		back, _, err := Decode(m)
		if err != nil || back != e {
			t.Fatalf("decoding gives %+v, %v", back, err)
		}
	})
}

func TestRoundTrip(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?`)
	id := rapid.StringMatching(`[a-z0-9-]{1,40}`)
	text := rapid.String()
	rapid.Check(t, func(t *rapid.T) {
		ref := BuildRef{Build: id.Draw(t, "build"), Pipeline: name.Draw(t, "pipeline"), Order: rapid.Uint64Min(1).Draw(t, "order")}
		p := rapid.SampledFrom([]Payload{
			&BuildFailed{BuildRef: ref, Attempt: rapid.Int().Draw(t, "attempt"), Failure: Failure{
				Class: FailureUser, Reason: text.Draw(t, "reason"), Detail: text.Draw(t, "detail"),
			}},
			&BuildLog{BuildRef: ref, Vertex: text.Draw(t, "vertex"), Text: text.Draw(t, "text")},
			&ImageReady{BuildRef: ref, Image: sampleImage, Bytes: rapid.Int64().Draw(t, "bytes"), Fleets: sampleFleets()},
			&DeadLetter{
				Stream: id.Draw(t, "stream"), Sequence: ref.Order, Subject: "a.b", Reason: text.Draw(t, "why"),
				Body: rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "body"), At: sampleTime,
			},
		}).Draw(t, "payload")
		m, err := Encode(sampleEnvelope(), p)
		if err != nil {
			t.Fatal(err)
		}
		_, back, err := Decode(m)
		if err != nil || !reflect.DeepEqual(p, back) {
			t.Fatalf("decoding gives %+v, %v, want %+v", back, err, p)
		}
		// A record keeps the message inside its own JSON: the bytes must survive that.
		kept, err := json.Marshal(BuildRecord{Outcome: &m})
		if err != nil {
			t.Fatal(err)
		}
		var record BuildRecord
		if err := json.Unmarshal(kept, &record); err != nil {
			t.Fatal(err)
		}
		if string(record.Outcome.Body) != string(m.Body) || !maps.EqualFunc(record.Outcome.Headers, m.Headers, equalStrings) {
			t.Fatalf("a record changes its message from %s to %s", m.Body, record.Outcome.Body)
		}
	})
}

func equalStrings(a, b []string) bool { return reflect.DeepEqual(a, b) }

func FuzzDecode(f *testing.F) {
	for _, p := range samples() {
		m := encoded(f, p)
		f.Add(string(p.MessageType()), "id", "/source", "2026-02-03T04:05:06Z", []byte(m.Body))
	}
	f.Add("dev.fenceline.build.requested.v9", "%zz", "", "x", []byte("null"))
	f.Fuzz(func(t *testing.T, typ, id, source, at string, body []byte) {
		m := Message{Headers: Headers{
			headerSpecVersion: {"1.0"}, headerType: {typ}, headerID: {id}, headerSource: {source}, headerTime: {at},
		}, Body: body}
		e, p, err := Decode(m)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewer) && !errors.Is(err, ErrUnknown) {
				t.Fatalf("error of no class: %v", err)
			}
			return
		}
		first, err := Encode(e, p)
		if err != nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
		e2, p2, err := Decode(first)
		if err != nil {
			t.Fatalf("what was encoded can't be decoded: %v", err)
		}
		second, err := Encode(e2, p2)
		if err != nil || !reflect.DeepEqual(first, second) {
			t.Fatalf("encoding again gives\n%s %v, not\n%s %v", second.Body, second.Headers, first.Body, first.Headers)
		}
		checkSubject(t, Space{}.Subject(p))
	})
}

func checkSubject(t *testing.T, subject string) {
	t.Helper()
	if strings.ContainsAny(subject, " *>\t\r\n") || strings.Contains(subject, "..") || strings.HasSuffix(subject, ".") {
		t.Fatalf("subject %q is not one that can be published to", subject)
	}
}
