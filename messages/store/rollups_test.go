package store_test

import (
	"encoding/json"
	"testing"

	"github.com/fenceline/fenceline/builds"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestNoCredentialCanRemoveMessagesByAHeader(t *testing.T) {
	s, as := guarded(t)
	controller := as("controller")
	must(t, store.Declare(within(t), controller, store.Layout{}))
	image := ready(request("base", 1))
	image.BuildRef = messages.BuildRef{Build: "base-x", Pipeline: "base", Order: 1}
	must(t, as("builder").Publish(within(t), "", image))
	for _, node := range []string{"n1", "n9"} {
		must(t, store.NewNode(as("operator")).Heartbeat(within(t), &messages.NodeStatus{Fleet: "production", Node: node, Beat: 1}))
	}
	_, err := store.Builds(as("builder")).Create(within(t), "base-x", messages.BuildRecord{BuildRef: image.BuildRef})
	must(t, err)
	_, err = builds.New(as("producer")).Request(within(t), request("base", 1), "")
	must(t, err)
	fleetRecord(t, controller, "production")
	for what, test := range map[string]struct{ user, subject, stream string }{
		"a node, in the events":          {"n1", "fenceline.node.failed.v1.production.n1", "fenceline-reports"},
		"a node, in the heartbeats":      {"n1", "$KV.fenceline-nodes.production.n1", "KV_fenceline-nodes"},
		"a builder, in the events":       {"builder", "fenceline.image.ready.v1.base.base-y", "fenceline-events"},
		"a builder, in the logs":         {"builder", "fenceline.build.log.v1.base.base-x", "fenceline-logs"},
		"a builder, in the records":      {"builder", "$KV.fenceline-builds.base-y", "KV_fenceline-builds"},
		"a producer, in the requests":    {"producer", "fenceline.build.requested.v1.other", "fenceline-requests"},
		"a controller, in fleet records": {"controller", "$KV.fenceline-fleets.staging", "KV_fenceline-fleets"},
	} {
		for _, scope := range []string{jetstream.MsgRollupAll, jetstream.MsgRollupSubject} {
			before := messagesIn(t, controller, test.stream)
			if code := rollup(t, s.URL(), test.user, test.subject, scope); code != 10111 { // "rollup not permitted", of nats-server's errors.json
				t.Errorf("%s, by %q: it is answered with error %d", what, scope, code)
			}
			if after := messagesIn(t, controller, test.stream); after != before {
				t.Errorf("%s, by %q: of %d messages %d are left", what, scope, before, after)
			}
		}
	}
}

// rollup publishes with the header that has a message take the place of others, and returns
// the code of the stream's error; 0 is none.
func rollup(t *testing.T, url, user, subject, scope string) int {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(user, "secret"), nats.Timeout(queuetest.TestTime), nats.CustomInboxPrefix("_INBOX_"+user))
	must(t, err)
	defer nc.Close()
	answer, err := nc.RequestMsgWithContext(within(t), &nats.Msg{
		Subject: subject, Header: nats.Header{jetstream.MsgRollup: {scope}}, Data: []byte("{}"),
	})
	must(t, err)
	var ack struct {
		Error struct {
			Code int `json:"err_code"`
		} `json:"error"`
	}
	must(t, json.Unmarshal(answer.Data, &ack))
	return ack.Error.Code
}

func messagesIn(t *testing.T, c *queue.Client, stream string) uint64 {
	t.Helper()
	s, err := queuetest.JetStream(t, c).Stream(within(t), stream)
	must(t, err)
	return s.CachedInfo().State.Msgs
}
