package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// newerFields are the buckets in which this client has met records with fields that it doesn't know, of a
// newer version of this program that runs beside it. What is changed there keeps those fields.
type newerFields struct{ buckets sync.Map }

func (n *newerFields) see(bucket string)       { n.buckets.Store(bucket, true) }
func (n *newerFields) seen(bucket string) bool { _, ok := n.buckets.Load(bucket); return ok }

// NewerFields tells whether this client has met records of a bucket with fields that it doesn't know: of what
// it says of those records itself they are missing.
func (c *Client) NewerFields(bucket string) bool { return c.newer.seen(bucket) }

// decodeJSON decodes a record, and tells whether it has fields that its type doesn't know.
func decodeJSON[T any](body []byte, v *T) (newer bool, err error) {
	strict := json.NewDecoder(bytes.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(v); err == nil && len(bytes.TrimSpace(body[strict.InputOffset():])) == 0 {
		return false, nil
	}
	var lax T
	*v = lax
	if err := json.Unmarshal(body, v); err != nil {
		return false, err
	}
	return true, nil
}

// keeping is the body of a record that is to be written over a revision, with the fields of that one which this
// program doesn't know.
func (r *Records[T]) keeping(ctx context.Context, key string, body []byte, revision uint64) ([]byte, error) {
	if revision == 0 || !r.fields || !r.c.newer.seen(r.bucket) {
		return body, nil
	}
	m, err := r.c.At(ctx, r.stream(), revision)
	if err != nil {
		if m, err = r.c.Last(ctx, r.stream(), r.Subject(key)); err == nil && m.Sequence != revision {
			err = ErrMoved
		}
	}
	if err != nil || m.Subject != r.Subject(key) {
		return body, err
	}
	var v T
	newer, err := decodeJSON(m.Message.Body, &v)
	if err != nil || !newer {
		return body, nil //nolint:nilerr // there is nothing to be kept of what can't be read
	}
	known, err := r.encode(v)
	if err != nil {
		return nil, err
	}
	return keepFields(m.Message.Body, known, body)
}

// keepFields adds to a JSON object what another one has that its known form, which this program writes, has
// not: fields of the whole, and what else is in those parts that are written as they were known. A part that
// is written otherwise is this program's, in its form, and so is all of one that is about another image, rollout or the like.
func keepFields(was, known, next []byte) ([]byte, error) {
	var w, k, n map[string]json.RawMessage
	for from, to := range map[*[]byte]*map[string]json.RawMessage{&was: &w, &known: &k, &next: &n} {
		if err := json.Unmarshal(*from, to); err != nil {
			return nil, fmt.Errorf("keeping the fields of a newer version: %w", err)
		}
	}
	for field, value := range w {
		if !hasField(k, field) && !hasField(n, field) {
			n[field] = value
		}
	}
	for field := range n {
		if is, ok := w[field]; ok && k[field] != nil {
			n[field] = keepIn(is, k[field], n[field])
		}
	}
	return json.Marshal(n)
}

// keepIn is keepFields for a part.
func keepIn(was, known, next json.RawMessage) json.RawMessage {
	if bytes.Equal(known, next) {
		return was
	}
	var w, k, n map[string]json.RawMessage
	if json.Unmarshal(was, &w) == nil && json.Unmarshal(known, &k) == nil && json.Unmarshal(next, &n) == nil {
		if aboutAnother(k, n) {
			return next
		}
		for part := range n {
			if w[part] != nil && k[part] != nil {
				n[part] = keepIn(w[part], k[part], n[part])
			}
		}
		return encoded(n, next)
	}
	var ws, ks, ns []json.RawMessage
	if json.Unmarshal(was, &ws) == nil && json.Unmarshal(known, &ks) == nil && json.Unmarshal(next, &ns) == nil && len(ws) == len(ks) {
		for i := range ns {
			for j := range ks {
				if bytes.Equal(ks[j], ns[i]) {
					ns[i] = ws[j]
					break
				}
			}
		}
		return encoded(ns, next)
	}
	return next
}

// named are the fields by which a part of a record says what it is about.
var named = []string{"image", "rollout", "build", "fleet", "node", "name"}

// aboutAnother tells whether a part is about something else than it was: what was known of that is not kept, as deep as it is.
func aboutAnother(known, next map[string]json.RawMessage) bool {
	for _, field := range named {
		if !bytes.Equal(known[field], next[field]) {
			return true
		}
	}
	return false
}

// encoded is v as JSON, of which all parts are JSON already.
func encoded(v any, otherwise json.RawMessage) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return otherwise
	}
	return b
}

// hasField tells whether an object has a field, as encoding/json takes its name.
func hasField(object map[string]json.RawMessage, name string) bool {
	if _, ok := object[name]; ok {
		return true
	}
	for field := range object {
		if strings.EqualFold(field, name) {
			return true
		}
	}
	return false
}
