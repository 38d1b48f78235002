package sinks

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/fenceline/fenceline/reach"
)

// client keeps the connections to a sink.
type client struct {
	mu    sync.Mutex
	made  *http.Client
	inner *http.Transport
}

// get is the client, made anew where the last try failed, so that a file of certificate authorities that was changed counts.
func (c *client) get(caFile string, failed bool) (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made != nil && !failed {
		return c.made, nil
	}
	t := &http.Transport{
		ForceAttemptHTTP2: true, TLSHandshakeTimeout: answerTime / 2, IdleConnTimeout: time.Minute,
		MaxIdleConnsPerHost: atOnce, MaxResponseHeaderBytes: 64 << 10,
	}
	if caFile != "" {
		content, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("ca_file: %s has no certificate in PEM", caFile)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	c.idle()
	t.Proxy = http.ProxyFromEnvironment
	t.DialContext = (&reach.Rules{}).Dialer(reach.Operator) // private addresses, as chats often have, but no link-local one, where clouds keep credentials
	c.inner = t
	c.made = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c.made, nil
}

func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle()
}

func (c *client) idle() {
	if c.inner != nil {
		c.inner.CloseIdleConnections()
	}
}
