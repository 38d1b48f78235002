package confdis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/fenceline/fenceline/fence/confdis/redistest"
)

const others = 1000 // changes of another writer

// TestNothingIsLost flips while another writer changes other fields, and a client reads the document anew
// at each message, as fence does: it sees each image that it should, no older one after a newer one, and at
// the end there is all that both wrote.
func TestNothingIsLost(t *testing.T) {
	server := redistest.Start(t)
	server.Put(t, "fence", `{"big":123456789012345678901234567890,"n":0,"docker":{"image":"app:0"}}`)
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: server.Socket})
	t.Cleanup(func() { must(t, client.Close()) })
	ctx := within(t)
	seen := subscribe(ctx, t, client)

	written := make(chan error, 1)
	go func() { written <- count(ctx, client) }()
	b := open(t, server.URI())
	flips := 0
	var failed error
	for done := false; !done; {
		select {
		case failed = <-written:
			done = true
		default:
			now, err := b.Get(ctx)
			must(t, err)
			flips++
			_, err = b.Set(ctx, fmt.Sprintf("app:%d", flips), now.Revision)
			must(t, err)
		}
	}
	must(t, failed)
	must(t, client.Publish(ctx, "fence:_changes", "end").Err())
	last := <-seen
	want := fmt.Sprintf(`{"big":123456789012345678901234567890,"n":%d,"docker":{"image":"app:%d"}}`, others, flips)
	if text := client.Get(ctx, "fence").Val(); text != want || last.text != want {
		t.Errorf("at the end there is\n%s\nits reader has\n%s\nand not\n%s", text, last.text, want)
	}
	if last.err != nil || last.messages < flips+others {
		t.Errorf("%d flips and %d other changes came with %d messages, %v", flips, others, last.messages, last.err)
	}
	t.Logf("%d flips among %d other changes", flips, others)
}

// count raises another field, as often as others says, in documents that it reads and writes whole.
func count(ctx context.Context, c *redis.Client) error {
	for n := 0; n < others; {
		err := c.Watch(ctx, func(tx *redis.Tx) error {
			text, err := tx.Get(ctx, "fence").Result()
			if err != nil {
				return err
			}
			text = strings.Replace(text, fmt.Sprintf(`"n":%d,`, n), fmt.Sprintf(`"n":%d,`, n+1), 1)
			_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.Set(ctx, "fence", text, 0)
				p.Publish(ctx, "fence:_changes", "true")
				return nil
			})
			return err
		}, "fence")
		switch {
		case err == nil:
			n++
		case !errors.Is(err, redis.TxFailedErr):
			return err
		}
	}
	return nil
}

type view struct {
	text     string
	messages int
	err      error
}

// subscribe reads the document at each message until one says that it is the end, and returns what it has then.
func subscribe(ctx context.Context, t *testing.T, c *redis.Client) <-chan view {
	t.Helper()
	sub := c.Subscribe(ctx, "fence:_changes")
	t.Cleanup(func() { must(t, sub.Close()) })
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	out := make(chan view, 1)
	go func() {
		var v view
		image, n := 0, 0
		for end := false; !end; {
			m, err := sub.ReceiveMessage(ctx)
			if err != nil {
				out <- view{err: err}
				return
			}
			end = m.Payload == "end"
			v.messages++
			v.text = c.Get(ctx, "fence").Val()
			var d struct {
				N      int
				Docker struct{ Image string }
			}
			var next int
			_, scan := fmt.Sscanf(v.text, `{"big":123456789012345678901234567890,"n":%d,`, &next)
			if err := errors.Join(scan, json.Unmarshal([]byte(v.text), &d)); err != nil {
				v.err = err
			}
			if _, err := fmt.Sscanf(d.Docker.Image, "app:%d", &next); err != nil || next < image || d.N < n {
				v.err = fmt.Errorf("after app:%d and n %d there is %s: %w", image, n, v.text, err)
			}
			image, n = next, d.N
		}
		out <- v
	}()
	return out
}

// TestWhatIsPublished: clients hear of each write, on the channel and with the words of Stackato's client.
func TestWhatIsPublished(t *testing.T) {
	server := redistest.Start(t)
	server.Put(t, "fence", unset)
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: server.Socket})
	t.Cleanup(func() { must(t, client.Close()) })
	sub := client.PSubscribe(within(t), "*")
	t.Cleanup(func() { must(t, sub.Close()) })
	if _, err := sub.Receive(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, server.URI()).Set(within(t), "app:1", ""); err != nil {
		t.Fatal(err)
	}
	m, err := sub.ReceiveMessage(within(t))
	must(t, err)
	if m.Channel != "fence:_changes" || m.Payload != "confdis" {
		t.Errorf("%q was published on %s", m.Payload, m.Channel)
	}
}
