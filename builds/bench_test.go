package builds_test

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/nats-io/nats-server/v2/server"
)

func synced(o *server.Options) { o.SyncAlways = true }

// BenchmarkRequest accepts requests spread over 16 pipelines; BenchmarkPlainPublish stores the
// same bytes by plain publishes. Run both with -cpu 64 for 64 at once.
func BenchmarkRequest(b *testing.B) {
	c := queuetest.Start(b, synced).Client(b)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			if _, err := queueOf(c).Request(b.Context(), request(fmt.Sprintf("p%d", i%16), i), ""); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkPlainPublish(b *testing.B) {
	c := queuetest.Start(b, synced).Client(b)
	js := queuetest.JetStream(b, c)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			r := request(fmt.Sprintf("p%d", i%16), i)
			body, err := json.Marshal(r)
			if err == nil {
				_, err = js.Publish(b.Context(), c.Space().RequestSubject(r.Pipeline.Name), body)
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}
