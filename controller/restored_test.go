package controller_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// losing is a proxy that ends its connection once, right after the server got what holds text.
func losing(t *testing.T, target, text string) (url string, lost *atomic.Bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	lost = &atomic.Bool{}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				return
			}
			muted := &atomic.Bool{}
			go func() {
				defer server.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := client.Read(buf)
					if err != nil {
						return
					}
					hit := bytes.Contains(buf[:n], []byte(text)) && lost.CompareAndSwap(false, true)
					if hit {
						muted.Store(true)
					}
					_, _ = server.Write(buf[:n])
					if hit {
						_ = client.Close()
					}
				}
			}()
			go func() {
				defer client.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := server.Read(buf)
					if err != nil {
						return
					}
					if !muted.Load() {
						_, _ = io.Copy(client, bytes.NewReader(buf[:n]))
					}
				}
			}()
		}
	}()
	return "nats://" + l.Addr().String(), lost
}

func TestARollbackWhoseAnswerIsLostGoesBackOnce(t *testing.T) {
	i, _ := installed(t, 3)
	url, lost := losing(t, strings.TrimPrefix(i.server.URL(), "nats://"), "PUB $KV.fenceline-fleets.default ")
	q := i.server.Connect(t, func(o *queue.Options) { o.URL = url })
	r, err := people.Rollback(t.Context(), q, "default", "", "ada")
	if err != nil || !lost.Load() || r.Current.Order != 2 {
		t.Errorf("answer lost: %v, error %v, the record says order %d", lost.Load(), err, r.Current.Order)
	}
	got := i.fleet(t, "default", "rolled back", func(r messages.FleetRecord) bool { return r.Hold != nil && r.Epoch == r.Applied.Epoch })
	if got.Current.Order != 2 {
		t.Errorf("one rollback from 3 went to %d (epoch %d)", got.Current.Order, got.Epoch)
	}
}

// TestARestoredFleetRecordIsActedOn has the record come back with a lower revision, as from a backup, or where a machine's crash
// took a tail. A node that has read it is told last of what was decided before: of that, the controller was slow to tell.
func TestARestoredFleetRecordIsActedOn(t *testing.T) {
	i, n := installed(t, 3)
	e, err := store.Fleets(i.q).Get(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	queuetest.Remake(t, i.q, "KV_fenceline-fleets")
	revision, err := store.Fleets(i.q).Create(t.Context(), "default", e.Value)
	if err != nil {
		t.Fatal(err)
	}
	n.end() // it would go on with the record that it knows until it reads again
	startNode(t, i.q, "default", "n1")
	until(t, store.Nodes(i.q), messages.NodeKey("default", "n1"), "it to have read the record", func(s messages.NodeStatus) bool {
		return s.Revision >= revision && s.Revision < e.Revision
	})
	if err := store.AnnounceFleet(i.q, messages.FleetChanged{Revision: e.Revision, Record: e.Value}); err != nil {
		t.Fatal(err)
	}
	until(t, store.Nodes(i.q), messages.NodeKey("default", "n1"), "it to have been told", func(s messages.NodeStatus) bool { return s.Revision == e.Revision })
	i.announce(t, 4, target("default", nil))
	i.applied(t, "default", 4)
}
