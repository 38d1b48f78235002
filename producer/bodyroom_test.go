package producer

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// allOfRoom fills the room with one body that is whole, so that nothing makes way.
func allOfRoom(t *testing.T, p *Producer) *body {
	t.Helper()
	b := &body{room: p.room, began: time.Now()}
	if !p.room.take(b, roomBytes) {
		t.Fatal("the bodies that were read still take room")
	}
	p.room.arrived(b, roomBytes, true)
	return b
}

// TestTheSlowestMakeWay has strangers fill the room by large bodies that they don't go on with.
func TestTheSlowestMakeWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProducer(t, &memoryQueue{}, zerolog.Nop())
		dial := serveOver(t, p.Handler())
		var slow []net.Conn
		part := strings.Repeat(" ", 17<<20) // takes all that the largest may
		for range roomBytes / maxHookBytes {
			conn := dial()
			slow = append(slow, conn)
			if _, err := fmt.Fprintf(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: %d\r\n\r\n%s", hexMAC("guess", nil), maxHookBytes, part); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // of the test's own time
		s := senders()[0]
		conn, began := dial(), time.Now()
		go func() {
			_ = s.hook(testSecret, s.payload(baseURL, mainRef, testCommit)+strings.Repeat(" ", 24<<20)).Write(conn)
		}()
		if got := status(t, conn); got != http.StatusAccepted {
			t.Errorf("an honest one: status %d", got)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		ended := 0
		for _, c := range slow {
			if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			var b [len("HTTP/1.1 503")]byte
			if n, _ := c.Read(b[:]); n > 0 {
				if ended++; string(b[:]) != "HTTP/1.1 503" {
					t.Errorf("one that made way is answered %s", b)
				}
			}
		}
		if ended == 0 || ended == len(slow) {
			t.Errorf("%d of %d made way", ended, len(slow))
		}
	})
}

// TestBodiesThatTrickleAreEnded long before the time that a body may take.
func TestBodiesThatTrickleAreEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, began := serveOver(t, newProducer(t, &memoryQueue{}, zerolog.Nop()).Handler())(), time.Now()
		go func() {
			_, err := fmt.Fprintf(conn, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=%s\r\nContent-Length: 1000000\r\n\r\n", hexMAC("guess", nil))
			for ; err == nil; _, err = conn.Write([]byte(" ")) {
				time.Sleep(100 * time.Millisecond) //nolint:forbidigo // of the test's own time
			}
		}()
		if got := status(t, conn); got != http.StatusRequestTimeout {
			t.Errorf("status %d", got)
		}
		if took := time.Since(began); took > slowStart+time.Second {
			t.Errorf("it is held for %v", took)
		}
	})
}
