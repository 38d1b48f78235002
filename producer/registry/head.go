package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/containerd/v2/pkg/reference"
	"github.com/fenceline/fenceline/registries"
	"github.com/google/go-containerregistry/pkg/name"
)

// askTimeout bounds one question.
const askTimeout = 10 * time.Second

// maxManifest bounds a manifest that is read, in bytes. Registries take none that is larger.
const maxManifest = 4 << 20

// accepted are the kinds of manifests that a tag may name. An index comes first: it is what builds pin.
const accepted = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, */*"

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Errors of Digest. Others tell that the registry could not be asked.
var (
	ErrAbsent = errors.New("the registry has no such image")
	ErrDenied = errors.New("the registry wants another login")
)

// BusyError tells that a registry wants to be asked later.
type BusyError struct {
	Status int
	After  time.Duration // from now on; 0 where it doesn't say
}

func (e *BusyError) Error() string {
	text := fmt.Sprintf("the registry answered %d %s", e.Status, http.StatusText(e.Status))
	if e.After > 0 {
		text += fmt.Sprintf(", to be asked again in %v", e.After)
	}
	return text
}

// Digest asks which image a source names now, a name with a tag. known is the digest that it named before, "" for none: a
// registry need then only say that it is the same.
func (c *Client) Digest(ctx context.Context, source, known string) (string, error) {
	ctx, cancel := context.WithTimeout(registries.Quietly(ctx), askTimeout)
	defer cancel()
	tag, err := c.tag(source)
	if err != nil {
		return "", fmt.Errorf("asking for %s: it is no name with a tag: %w", source, err)
	}
	host, err := c.host(tag)
	if err == nil {
		var digest string
		if digest, err = ask(ctx, host, tag, known); err == nil {
			return digest, nil
		}
	}
	c.forget(tag)
	return "", fmt.Errorf("asking %s for %s: %w", tag.RegistryStr(), source, mended(err, tag.RegistryStr()))
}

// ask asks by HEAD, and by GET where that doesn't tell the digest.
func ask(ctx context.Context, host docker.RegistryHost, tag name.Tag, known string) (string, error) {
	scope, err := reference.Parse(tag.RegistryStr() + "/" + tag.RepositoryStr() + ":" + tag.TagStr())
	if err == nil {
		ctx, err = docker.ContextWithRepositoryScope(ctx, scope, false)
	}
	if err != nil {
		return "", err
	}
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		answer, err := request(ctx, host, method, tag, known)
		if err != nil {
			return "", err
		}
		digest, err := said(answer, known)
		answer.Body.Close()
		if method == http.MethodHead && (answer.StatusCode == http.StatusMethodNotAllowed || err == nil && digest == "") {
			continue // it tells only who reads it
		}
		return digest, err
	}
	return "", errors.New("the registry does not tell the image's digest")
}

// request asks, with what the registry wants to be shown.
func request(ctx context.Context, host docker.RegistryHost, method string, tag name.Tag, known string) (*http.Response, error) {
	address := fmt.Sprintf("%s://%s%s/%s/manifests/%s", host.Scheme, host.Host, host.Path, tag.RepositoryStr(), tag.TagStr())
	var tried []*http.Response
	for {
		q, err := http.NewRequestWithContext(ctx, method, address, nil)
		if err != nil {
			return nil, err
		}
		q.Header.Set("Accept", accepted)
		if known != "" && method == http.MethodHead {
			q.Header.Set("If-None-Match", strconv.Quote(known))
		}
		if err := host.Authorizer.Authorize(ctx, q); err != nil {
			return nil, tokenError(err)
		}
		answer, err := host.Client.Do(q)
		if err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusUnauthorized || len(tried) == 2 {
			return answer, nil
		}
		answer.Body.Close()
		tried = append(tried, answer)
		if err := host.Authorizer.AddResponses(ctx, tried); err != nil {
			return answer, nil //nolint:nilerr // it is denied, which the status says
		}
	}
}

// tokenError tells what a token server's answer means.
func tokenError(err error) error {
	var status remoteerrors.ErrUnexpectedStatus
	switch {
	case !errors.As(err, &status):
		return err
	case status.StatusCode == http.StatusTooManyRequests || status.StatusCode >= 500:
		return &BusyError{Status: status.StatusCode}
	case status.StatusCode >= 400:
		return fmt.Errorf("%w: its token server answered %d %s", ErrDenied, status.StatusCode, http.StatusText(status.StatusCode))
	}
	return err
}

// said is the digest that an answer tells, "" where it tells none.
func said(answer *http.Response, known string) (string, error) {
	switch status := answer.StatusCode; {
	case status == http.StatusNotModified && known != "":
		return known, nil
	case status == http.StatusNotFound:
		return "", ErrAbsent
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "", ErrDenied
	case status == http.StatusTooManyRequests || status >= 500:
		return "", &BusyError{Status: status, After: after(answer.Header.Get("Retry-After"), time.Now())}
	case status != http.StatusOK:
		return "", fmt.Errorf("the registry answered %d %s", status, http.StatusText(status)) // not in its own words
	}
	digest := answer.Header.Get("Docker-Content-Digest")
	if digest == "" && answer.Request.Method == http.MethodGet {
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxManifest+1))
		if err != nil {
			return "", err
		}
		if len(body) > maxManifest {
			return "", fmt.Errorf("its manifest has more than %d bytes", maxManifest)
		}
		sum := sha256.Sum256(body)
		digest = "sha256:" + hex.EncodeToString(sum[:])
	}
	if digest != "" && !digestForm.MatchString(digest) {
		return "", errors.New("the registry tells no digest of sha256")
	}
	return digest, nil
}

// after is what Retry-After says, in seconds or as a time; 0 where it says nothing that can be read.
func after(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 86400)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), 24*time.Hour)
	}
	return 0
}

// mended says of an error which setting mends it, where one does.
func mended(err error, registry string) error {
	switch {
	case errors.Is(err, ErrDenied):
		return fmt.Errorf("%w: give the producer a login that may read it (docker-config)", err)
	case strings.Contains(err.Error(), "certificate signed by unknown authority"):
		return fmt.Errorf("%w: give the producer its authority with registry-ca-file", err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: tell the producer with registry-plain-http %s that it has no TLS", err, registry)
	}
	return registries.Led(err)
}
