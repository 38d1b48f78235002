package sinks

import (
	"bufio"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/fenceline/fenceline/standardwebhooks"
	"golang.org/x/net/http/httpguts"
)

// Files are read anew for each try, so that what is in them counts at once.

// address is where events go.
func (s *sink) address() (string, error) { return address(&s.Sink) }

func address(s *form.Sink) (string, error) {
	if s.URL != "" {
		return s.URL, nil
	}
	secret, err := messages.ReadSecret(s.URLFile)
	if err == nil {
		secret, err = secret.Word()
	}
	if err != nil {
		return "", fmt.Errorf("url_file: %w", named(s.URLFile, err))
	}
	if err := form.CheckURL(secret.Reveal()); err != nil {
		return "", fmt.Errorf("url_file: the address in %s %w", s.URLFile, err)
	}
	return secret.Reveal(), nil
}

// named is an error about what is in a file, with the file's name.
func named(file string, err error) error {
	if strings.Contains(err.Error(), file) {
		return err
	}
	return fmt.Errorf("%s %w", file, err)
}

// keys are those that sign; none where nothing is signed.
func keys(s *form.Sink) ([][]byte, error) {
	if s.SecretFile == "" {
		return nil, nil
	}
	content, err := messages.ReadSecret(s.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", err)
	}
	secrets, err := standardwebhooks.Secrets(content)
	if err != nil {
		return nil, fmt.Errorf("secret_file: %w", named(s.SecretFile, err))
	}
	var out [][]byte
	for _, secret := range secrets {
		key, err := standardwebhooks.Key(secret)
		if err != nil {
			return nil, fmt.Errorf("secret_file: %w", named(s.SecretFile, err))
		}
		out = append(out, key)
	}
	return out, nil
}

// reserved are headers that are not the file's to set.
var reserved = []string{"Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", standardwebhooks.HeaderID, standardwebhooks.HeaderTimestamp, standardwebhooks.HeaderSignature}

// headers are those of a file: NAME: VALUE, one a line. Errors name the line, and show no value.
func headers(s *form.Sink) (http.Header, error) {
	out := http.Header{}
	if s.HeadersFile == "" {
		return out, nil
	}
	content, err := messages.ReadSecret(s.HeadersFile)
	if err != nil {
		return nil, fmt.Errorf("headers_file: %w", err)
	}
	lines := bufio.NewScanner(strings.NewReader(content.Reveal()))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || value == "":
			return nil, fmt.Errorf("headers_file: %s:%d is no header: write NAME: VALUE, as in Authorization: Bearer TOKEN", s.HeadersFile, n)
		case slices.Contains(reserved, name):
			return nil, fmt.Errorf("headers_file: %s:%d sets %s, which is set by fenceline: leave it out", s.HeadersFile, n, name)
		}
		out.Add(name, value)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("headers_file: %s: %w", s.HeadersFile, err)
	}
	return out, nil
}
