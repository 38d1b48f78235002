package producer

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

const (
	idleConnections = 10_000
	idleMemory      = 80 << 20 // of the server and of who connects, together
)

// inUse is the memory that this process uses.
func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestTenThousandIdleConnections are opened over real sockets, and send nothing, a part of a header, or a part of a body. Memory stays
// bounded, and an honest webhook is answered meanwhile, again and again.
func TestTenThousandIdleConnections(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(p.Handler(), zerolog.Nop())
	server.Start()
	t.Cleanup(server.Close)
	s := senders()[0]
	parts := []string{
		"",
		"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 1000),
		"POST /hooks/github HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=" + hexMAC("guess", nil) + "\r\nContent-Length: 65536\r\n\r\n{",
	}
	before := inUse()
	for i := range idleConnections {
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatalf("connecting for the %dth time: %v: let a process have 16,000 files (ulimit -n)", i+1, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, parts[i%len(parts)]); err != nil {
			t.Fatal(err)
		}
		if i%1000 != 999 {
			continue
		}
		body := s.payload(baseURL, mainRef, commit(i))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/hooks/github", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header, r.Close = s.hook(testSecret, body).Header, true
		resp, err := (&http.Client{Timeout: time.Minute}).Do(r)
		if err != nil {
			t.Fatalf("an honest webhook beside %d connections: %v", i+1, err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusAccepted {
			t.Errorf("an honest webhook beside %d connections: %s", i+1, resp.Status)
		}
	}
	if took := inUse() - before; took > idleMemory {
		t.Errorf("%d connections take %d MiB", idleConnections, took>>20)
	} else {
		t.Logf("%d connections take %d MiB", idleConnections, took>>20)
	}
}
