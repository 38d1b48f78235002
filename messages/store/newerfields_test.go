package store_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestARecordOfAFutureVersionKeepsItsFields has this version change records of a newer one, by each kind of them:
// what it doesn't know stays, in the whole and in the parts that it leaves as they are.
func TestARecordOfAFutureVersionKeepsItsFields(t *testing.T) {
	s := queuetest.Start(t)
	for name, change := range map[string]func(*testing.T, *queue.Client) []byte{
		"build": changed(store.Builds, "app-1", messages.BuildRecord{BuildRef: messages.BuildRef{Build: "app-1", Pipeline: "app"}}, func(r *messages.BuildRecord) { r.Attempt++ }),
		"rollout": changed(store.Rollouts, "default-app-1", messages.RolloutRecord{ID: "default-app-1", Fleet: "default", Why: "first"},
			func(r *messages.RolloutRecord) { r.Why = "second" }),
		"fleet": changed(store.Fleets, "default", messages.FleetRecord{Fleet: "default", Applied: messages.Applied{Epoch: 1}},
			func(r *messages.FleetRecord) { r.Epoch++ }),
		"member": changed(store.Members, "default.n1", messages.Member{Fleet: "default", Node: "n1"}, func(m *messages.Member) { m.Silent = true }),
		"heartbeat": changed(store.Nodes, "default.n1", messages.NodeStatus{Fleet: "default", Node: "n1"},
			func(n *messages.NodeStatus) { n.Beat++ }),
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]any
			if err := json.Unmarshal(change(t, s.Client(t)), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got["of_a_newer_version"], map[string]any{"is": "kept"}) {
				t.Errorf("it is %v", got)
			}
			if a, ok := got["applied"].(map[string]any); ok && a["of_a_newer_version"] != true {
				t.Errorf("a part that stayed is %v", a)
			}
		})
	}
}

// changed writes a record as a newer version does, has this one change it, and returns what is stored then.
func changed[T any](of func(*queue.Client) *queue.Records[T], key string, v T, change func(*T)) func(*testing.T, *queue.Client) []byte {
	return func(t *testing.T, c *queue.Client) []byte {
		t.Helper()
		body, err := json.Marshal(v)
		queuetest.Must(t, err)
		var newer map[string]any
		queuetest.Must(t, json.Unmarshal(body, &newer))
		newer["of_a_newer_version"] = map[string]any{"is": "kept"}
		if a, ok := newer["applied"].(map[string]any); ok {
			a["of_a_newer_version"] = true
		}
		body, err = json.Marshal(newer)
		queuetest.Must(t, err)
		records := of(c)
		_, err = c.Store(t.Context(), records.Subject(key), messages.Message{Body: body})
		queuetest.Must(t, err)
		_, err = records.Modify(t.Context(), key, func(v *T) error { change(v); return nil })
		queuetest.Must(t, err)
		e, err := records.Current(t.Context(), key) // and again, over its own
		queuetest.Must(t, err)
		change(&e.Value)
		_, err = records.Update(t.Context(), key, e.Value, e.Revision)
		queuetest.Must(t, err)
		var raw []byte
		queuetest.Must(t, lastOf(t.Context(), c, records.Subject(key), &raw))
		return raw
	}
}

func lastOf(ctx context.Context, c *queue.Client, subject string, body *[]byte) error {
	for _, bucket := range []string{c.Space().BuildsBucket(), c.Space().RolloutsBucket(), c.Space().FleetsBucket(), c.Space().MembersBucket(), c.Space().NodesBucket()} {
		if m, err := c.Last(ctx, "KV_"+bucket, subject); err == nil {
			*body = m.Message.Body
			return nil
		}
	}
	return queue.ErrNotFound
}
