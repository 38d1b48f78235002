package producer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// ExpiresSoon is how long before its end a certificate is told of.
const ExpiresSoon = 14 * 24 * time.Hour

// Certificate is the one that a server shows, with its key. Both files are read again when they have changed: connections that are
// open go on, new ones meet the new certificate. While the new pair can't be used the one before stays in force.
type Certificate struct {
	certFile, keyFile string
	interval          time.Duration
	log               zerolog.Logger
	now               func() time.Time
	pair              atomic.Pointer[tls.Certificate]
	asked             chan struct{} // has one when it is to be read at once
	read, last        map[string]stamp
	told              string // what was last told of its end

	lock  sync.Mutex
	state CertificateState
}

// CertificateState is what is known of a certificate.
type CertificateState struct {
	File   string    `json:"file" doc:"the certificate's file"`
	Names  []string  `json:"names,omitempty" doc:"the names that it is for"`
	Until  time.Time `json:"until" doc:"when it ends"`
	Loaded time.Time `json:"loaded" doc:"when it was read"`
	Error  string    `json:"error,omitempty" doc:"why the files can't be used as they are; the certificate that was read before is in force"`
	Since  time.Time `json:"since,omitzero" doc:"when a look first found that error"`
}

// LoadCertificate reads a certificate, with those that it is signed by, and its key, both in PEM.
func LoadCertificate(certFile, keyFile string, log zerolog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, interval: DefaultLookInterval, log: log, now: time.Now, asked: make(chan struct{}, 1)}
	c.read = map[string]stamp{certFile: stampOf(certFile), keyFile: stampOf(keyFile)}
	c.last = c.read
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(keyFile); err == nil && info.Mode().Perm()&0o004 != 0 {
		log.Warn().Str("file", keyFile).Msg("every user of this machine may read the key of the certificate: chmod o-rwx it")
	}
	c.force(pair)
	c.tellOfItsEnd()
	return c, nil
}

// readPair reads both files. Nothing of the key is in its errors.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate's key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with the key %s: %w: give both in PEM, the certificate first in its file, and the key of that one without a passphrase", certFile, keyFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("certificate %s: %w", certFile, err)
		}
	}
	return &pair, nil
}

// CheckCertificate reads both files and tells until when the certificate is valid.
func CheckCertificate(certFile, keyFile string) (until time.Time, err error) {
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return time.Time{}, err
	}
	return pair.Leaf.NotAfter, nil
}

// TLS is what a server is configured with. HTTP/2 is not offered: a connection then has one request at a time, which is
// what the bounds of connections count on, and forges speak HTTP/1.1.
func (c *Certificate) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.pair.Load(), nil
		},
	}
}

// State is what is known of the certificate in force.
func (c *Certificate) State() CertificateState {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.state
}

// Reload has both files read again at once, whether they seem to have changed or not. Run does it.
func (c *Certificate) Reload() {
	select {
	case c.asked <- struct{}{}:
	default: // it is asked for already
	}
}

// Run reads the files again whenever they have changed, until ctx ends. As with the pipeline file a change counts once a second
// look finds the same, so that of two files that are written one after the other not the first alone is read.
func (c *Certificate) Run(ctx context.Context) {
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.look(false)
		case <-c.asked:
			c.look(true)
		}
	}
}

func (c *Certificate) look(asked bool) {
	now := look(c.last)
	rests := sameFiles(now, c.last)
	c.last = now
	if asked || rests && !sameFiles(now, c.read) {
		c.read = now
		c.reload()
	}
	c.tellOfItsEnd()
}

// reload reads the pair, and has it come into force if it can be used.
func (c *Certificate) reload() {
	pair, err := readPair(c.certFile, c.keyFile)
	if now := c.now(); err == nil && now.After(pair.Leaf.NotAfter) && now.Before(c.pair.Load().Leaf.NotAfter) {
		err = fmt.Errorf("certificate %s is valid until %s alone, which is over", c.certFile, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	if err == nil {
		c.force(pair)
		c.log.Info().Str("file", c.certFile).Time("until", pair.Leaf.NotAfter).Strs("names", pair.Leaf.DNSNames).Msg("the certificate was read again")
		return
	}
	c.lock.Lock()
	news := c.state.Error != err.Error()
	if c.state.Error == "" {
		c.state.Since = c.now().UTC()
	}
	c.state.Error = err.Error()
	c.lock.Unlock()
	if news {
		c.log.Error().Err(err).Time("until", c.pair.Load().Leaf.NotAfter).Msg("the certificate can't be used as it is: the one that was read before stays in force")
	}
}

func (c *Certificate) force(pair *tls.Certificate) {
	c.pair.Store(pair)
	names := append([]string(nil), pair.Leaf.DNSNames...)
	for _, ip := range pair.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.state = CertificateState{File: c.certFile, Names: names, Until: pair.Leaf.NotAfter.UTC(), Loaded: c.now().UTC()}
}

// tellOfItsEnd logs, once, that the certificate's end is near or past.
func (c *Certificate) tellOfItsEnd() {
	until := c.State().Until
	text := ""
	switch left := until.Sub(c.now()); {
	case left <= 0:
		text = "the certificate has expired: who checks it does not connect"
	case left < ExpiresSoon:
		text = "the certificate expires soon"
	}
	if news := text + until.String(); text != "" && news != c.told {
		c.told = news
		c.log.Warn().Str("file", c.certFile).Time("until", until).Msg(text)
	}
}
