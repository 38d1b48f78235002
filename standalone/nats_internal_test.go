package standalone

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// lines is what was logged so far.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func startNATS(t *testing.T, dir, password string) (*NATS, *lines, error) {
	t.Helper()
	log := new(lines)
	n, err := StartNATS(t.Context(), NATSConfig{
		Address: "127.0.0.1:0", StoreDir: dir, Logger: zerolog.New(log),
		Users: []User{{Name: "operator", Password: messages.NewSecret(password), Publish: []string{">"}, Subscribe: []string{">"}}},
	})
	if err == nil {
		t.Cleanup(n.Stop)
	}
	return n, log, err
}

func login(n *NATS, password string) (*nats.Conn, error) {
	return nats.Connect("", nats.InProcessServer(n), nats.UserInfo("operator", password))
}

func TestNATSIsToldNoPassword(t *testing.T) {
	const password = "the-password-of-the-operator"
	n, log, err := startNATS(t, t.TempDir(), password)
	if err != nil {
		t.Fatal(err)
	}
	c, err := login(n, password)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	hash, err := HashPassword(messages.NewSecret(password))
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", password + "x", hash} {
		if _, err := nats.Connect(n.URL(), nats.UserInfo("operator", wrong)); err == nil {
			t.Errorf("password %q gets in", wrong)
		}
	}
	if said := log.String(); strings.Contains(said, "Plaintext") || strings.Contains(said, password) {
		t.Errorf("it logs %s", said)
	}
	if _, _, err := startNATS(t, t.TempDir(), strings.Repeat("x", maxPassword+1)); err == nil || !strings.Contains(err.Error(), "user operator: the password has more than 72 bytes") {
		t.Errorf("a password that is too long gives %v", err)
	}
}

func TestNATSSyncsEveryWrite(t *testing.T) {
	n, _, err := startNATS(t, t.TempDir(), "password")
	if err != nil {
		t.Fatal(err)
	}
	if c := n.server.JetStreamConfig(); c == nil || !c.SyncAlways || c.MaxMemory != natsMemory {
		t.Errorf("JetStream runs as %+v", c)
	}
}

// TestNATSTellsOfAFullDisk fills a small file system under a server, which takes root, and
// makes room again: its streams don't take writes again by themselves.
func TestNATSTellsOfAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mounting a small file system, which this test needs root for: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	n, _, err := startNATS(t, dir, "password")
	if err != nil {
		t.Fatal(err)
	}
	c, err := login(n, "password")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "s", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk gives %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := js.Publish(ctx, "s", bytes.Repeat([]byte("x"), 100_000)); err == nil {
		t.Fatal("a full disk takes a message")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-n.Failed():
		if !strings.Contains(err.Error(), "the disk of "+dir+" is full") {
			t.Errorf("it fails with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on without taking writes")
	}
}

// TestAnAccountTakesOverWhatWasStored starts a server with accounts over what one without has stored.
func TestAnAccountTakesOverWhatWasStored(t *testing.T) {
	dir := t.TempDir()
	n, _, err := startNATS(t, dir, "secret")
	if err != nil {
		t.Fatal(err)
	}
	in := func(n *NATS) *queue.Client {
		c, err := queue.Connect(t.Context(), queue.Options{InProcess: n, User: "operator", Password: messages.NewSecret("secret"), Source: "/x"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	if err := store.Declare(t.Context(), in(n), store.Layout{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Fleets(in(n)).Create(t.Context(), "production", messages.FleetRecord{Fleet: "production"}); err != nil {
		t.Fatal(err)
	}
	n.Stop()
	for range 2 {
		n, err := StartNATS(t.Context(), NATSConfig{
			Address: "127.0.0.1:0", StoreDir: dir, Logger: zerolog.Nop(), Passwords: map[string]messages.Secret{"operator": messages.NewSecret("secret")},
			Accounts: store.Accounts(messages.Space{}, store.Users{Deciders: []store.User{{Name: "operator", May: store.OperatorPermissions(messages.Space{}, "_INBOX")}}}),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(n.Stop)
		c := in(n)
		if err := store.Declare(t.Context(), c, store.Layout{}); err != nil {
			t.Fatal(err)
		}
		if e, err := store.Fleets(c).Get(t.Context(), "production"); err != nil || e.Value.Fleet != "production" {
			t.Errorf("the record is %+v, %v", e, err)
		}
		n.Stop()
	}
}
