package sinks

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// answerError is an answer other than that the event is taken.
type answerError struct {
	host   string
	status int
	says   string        // what the sink says of it, made visible
	after  time.Duration // how long it asks to be left alone
	leads  string        // where it redirects to
}

// Error is the status, what the sink says, and what mends it.
func (e *answerError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.host, e.status, http.StatusText(e.status))
	if e.says != "" {
		text += ": " + e.says
	}
	switch {
	case e.leads != "":
		return text + ": it redirects to " + e.leads + ", and redirects are not followed: give the address where it ends"
	case e.gone():
		return text + ": it wants no more, and is sent nothing until it is configured otherwise"
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		return text + ": look at its address, and at the files of headers and secrets"
	case e.status == http.StatusNotFound:
		return text + ": look at its address"
	}
	return text
}

// gone tells whether the sink wants no more, as Standard Webhooks has it.
func (e *answerError) gone() bool { return e.status == http.StatusGone }

// wrong tells whether it is this event that the sink doesn't take.
func (e *answerError) wrong() bool {
	return slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity}, e.status)
}

// bodyError tells that nothing could be made of an event.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "it can't be written for the sink: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// saysMost bounds, in bytes, what is shown of an answer.
const saysMost = 300

// answered is the error of an answer by which the event is not taken. Secrets that the sink repeats are left out.
func answered(resp *http.Response, body []byte, secrets []string) error {
	e := &answerError{host: resp.Request.URL.Host, status: resp.StatusCode, after: leaveFor(resp.Header), says: without(string(body), secrets)}
	if strings.Contains(e.says, "<") { // a page is for browsers
		e.says = ""
	}
	if at := resp.Header.Get("Location"); at != "" && resp.StatusCode < 400 {
		e.leads = "another address"
		if u, err := url.Parse(at); err == nil && u.Host != "" {
			e.leads = terminal.Visible(messages.Shorten(u.Host, saysMost))
		}
	}
	return e
}

// partsOf are the parts of an address of which any may be the secret, as they are and as they are written, the longest first.
func partsOf(u *url.URL) []string {
	out := append([]string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}, strings.Split(u.Path, "/")...)
	out = append(out, strings.Split(u.EscapedPath(), "/")...)
	for _, pair := range strings.Split(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		out = append(out, value)
	}
	for _, values := range u.Query() {
		out = append(out, values...)
	}
	slices.SortFunc(out, func(a, b string) int { return len(b) - len(a) })
	return out
}

// without is a text of bounded length in which secrets are not.
func without(text string, secrets []string) string {
	for _, secret := range secrets {
		if len(secret) >= 8 {
			text = strings.ReplaceAll(text, secret, "…")
		}
	}
	return messages.Shorten(terminal.Visible(strings.Join(strings.Fields(text), " ")), saysMost)
}

// leaveFor is how long an answer asks to be left alone.
func leaveFor(h http.Header) time.Duration {
	after := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(after, 10, 32); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(after); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

// unanswered is what is wrong where there is no answer, without the address, which may be a secret.
func unanswered(host string, err error) error {
	if asked := (*url.Error)(nil); errors.As(err, &asked) {
		err = asked.Err
	}
	var ended x509.CertificateInvalidError
	var call *net.OpError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%s: %w: name its certificate authority with ca_file", host, err)
	case errors.As(err, &ended) && ended.Reason == x509.Expired: // the error has the time of each try
		return fmt.Errorf("%s: its certificate is good from %s to %s: have it renewed there, or look at the clock here", host,
			ended.Cert.NotBefore.UTC().Format(time.RFC3339), ended.Cert.NotAfter.UTC().Format(time.RFC3339))
	case errors.As(err, &call) && call.Source != nil: // the port of each try
		same := *call
		same.Source = nil
		err = &same
	}
	return fmt.Errorf("%s: %w", host, err)
}
