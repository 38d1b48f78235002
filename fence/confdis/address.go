package confdis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

// most is how long a file with an address may be, in bytes.
const most = 4096

// address is the URI, and the field that it comes from.
func (c Config) address() (uri, field string, err error) {
	if c.RedisURI != "" {
		return c.RedisURI, FieldURI, nil
	}
	uri, err = readURI(c.RedisURIFile)
	return uri, FieldURIFile, err
}

// readURI reads a file that holds a URI and nothing else but space around it.
func readURI(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the address of Redis: %w: on a Stackato node it is in %s", err, DefaultURIFile)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return "", fmt.Errorf("reading the address of Redis: %w", err)
	}
	uri := strings.TrimSpace(string(text))
	switch {
	case uri == "":
		err = errors.New("the file is empty")
	case len(text) > most:
		err = fmt.Errorf("the file has more than %d bytes", most)
	case strings.ContainsAny(uri, "\r\n"):
		err = errors.New("the file has more than one line")
	}
	if err != nil {
		return "", fmt.Errorf("the address of Redis in %s: %w: one line such as redis://127.0.0.1:7474/0 belongs there", path, err)
	}
	return uri, nil
}

// parseURI reads a URI. Its errors quote nothing of it: it can hold a password.
func parseURI(uri string) (*redis.Options, error) {
	o, err := redis.ParseURL(uri)
	if err != nil {
		what := "it is no URI"
		for _, known := range []string{"invalid URL scheme", "invalid database number", "invalid URL path", "invalid port", "empty unix socket path", "unexpected option", "boolean", "duration", "number"} {
			if strings.Contains(err.Error(), known) {
				what = known
				break
			}
		}
		return nil, fmt.Errorf("the address of Redis can't be read (%s): write redis://HOST:PORT/DATABASE, such as redis://127.0.0.1:7474/0, with :PASSWORD@ before HOST where there is one, rediss:// for TLS, or unix://PATH", what)
	}
	return o, nil
}

// trust puts the authority and the certificate of Config into a client's options.
func (c Config) trust(o *redis.Options) error {
	if o.TLSConfig == nil {
		return nil
	}
	if c.RedisCAFile != "" {
		pem, err := os.ReadFile(c.RedisCAFile)
		pool := x509.NewCertPool()
		if err == nil && !pool.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s holds no certificate in PEM", c.RedisCAFile)
		}
		if err != nil {
			return &FieldError{FieldCAFile, fmt.Errorf("reading the authority of Redis' certificate: %w", err)}
		}
		o.TLSConfig.RootCAs = pool
	}
	switch {
	case c.RedisCertFile == "" && c.RedisKeyFile == "":
		return nil
	case c.RedisKeyFile == "":
		return &FieldError{FieldKeyFile, fmt.Errorf("the certificate %s has no key beside it: give both", c.RedisCertFile)}
	case c.RedisCertFile == "":
		return &FieldError{FieldCertFile, fmt.Errorf("the key %s has no certificate beside it: give both", c.RedisKeyFile)}
	}
	pair, err := tls.LoadX509KeyPair(c.RedisCertFile, c.RedisKeyFile)
	if err != nil {
		return &FieldError{FieldCertFile, fmt.Errorf("reading the certificate that is shown to Redis: %w", err)}
	}
	o.TLSConfig.Certificates = []tls.Certificate{pair}
	return nil
}
