package compose

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// requestSize is less than any build request has, and more than a heartbeat of a connection, in bytes.
const requestSize = 1000

// unread counts the bytes that have come to a process's port from an address and that it has not read,
// as Linux tells in /proc/PID/net/tcp6, where those of IPv4 are too if the port takes either.
func unread(t *testing.T, pid, port int, from string) (bytes int) {
	t.Helper()
	peer := binary.NativeEndian.Uint32(net.ParseIP(from).To4()) // the table has the word as the machine does
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // number, own address, the peer's, state, bytes to send and to read
			if len(f) < 5 || !strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) || !strings.Contains(f[2], fmt.Sprintf("%08X:", peer)) {
				continue
			}
			_, received, _ := strings.Cut(f[4], ":")
			n, err := strconv.ParseInt(received, 16, 64)
			if err != nil {
				t.Fatalf("reading %q: %v", line, err)
			}
			bytes += int(n)
		}
	}
	return bytes
}

// TestProducer takes the producer away between the publishing of a request and its answer, or NATS
// before it has read it. NATS stands still meanwhile. The forge sends the hook again, and there is
// one build.
func TestProducer(t *testing.T) {
	s := shared.get(t)
	for _, test := range []struct {
		service string
		o       outage
	}{{"producer", killed}, {"producer", stopped}, {"nats", killed}} {
		t.Run(test.service+" "+test.o.name, func(t *testing.T) {
			s.onFailure(t)
			s.push(t, quick()) // the producer has stored a request, and needs to look for none before the next
			commit := s.commit(t, quick())
			producer, queue := s.the(t, "producer"), s.the(t, "nats")
			address := s.docker(t, "inspect", "--format", `{{(index .NetworkSettings.Networks "`+s.project+`_queue").IPAddress}}`, string(producer))
			goOn := s.take(t, stopped, queue)
			server := s.process(t, queue)
			before := unread(t, server, 4222, address)
			answered := make(chan error, 1)
			go func() {
				a, err := s.hook(t.Context(), commit)
				if err == nil && a.Status >= 300 {
					err = fmt.Errorf("the hook is answered with %+v", a)
				}
				answered <- err
			}()
			awaitClosely(t, "a request on its way", func(context.Context) error {
				if n := unread(t, server, 4222, address) - before; n < requestSize {
					return fmt.Errorf("NATS has %d bytes to read", n)
				}
				return nil
			})
			select {
			case err := <-answered:
				t.Fatalf("the hook is answered before its request is stored: %v", err)
			default:
			}
			if test.service == "nats" {
				giveBack := s.take(t, killed, queue)
				if err := <-answered; err == nil {
					t.Error("a hook is accepted whose request nobody has read")
				}
				giveBack()
			} else {
				giveBack := s.take(t, test.o, producer)
				goOn()
				if !test.o.gone {
					pause(t.Context(), 2*lease)
				}
				giveBack()
				if err := <-answered; err == nil && test.o.gone { // one that was only stopped may still answer in time
					t.Error("a producer that was killed has answered the hook")
				}
			}
			var id string
			await(t, "an accepted webhook", func(ctx context.Context) (err error) {
				id, err = s.accepted(ctx, commit)
				return err
			})
			s.flipped(t, id)
			s.check(t)
			s.healthy(t)
		})
	}
}
