package e2e

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fenceline/fenceline/demo/site"
	"github.com/google/go-containerregistry/pkg/name"
	ociregistry "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// registry is one that is not fenceline's, in memory, which can be told to take nothing. It
// ends with the process.
type registry struct {
	address string
	refusal atomic.Int32
	held    atomic.Pointer[chan struct{}] // requests wait until it is closed
}

func newRegistry() *registry {
	r := &registry{}
	images := ociregistry.New(ociregistry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if held := r.held.Load(); held != nil {
			select {
			case <-*held:
			case <-req.Context().Done():
			}
		}
		status := int(r.refusal.Load())
		if status == 0 || req.Method == http.MethodGet || req.Method == http.MethodHead {
			images.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors":[{"code":"UNKNOWN","message":%q}]}`, refusals[status])
	}))
	r.address = strings.TrimPrefix(s.URL, "http://")
	return r
}

// refusals are what registries say besides the status.
var refusals = map[int]string{
	http.StatusInsufficientStorage: "no space left on device",
	http.StatusForbidden:           "requested access to the resource is denied",
	http.StatusServiceUnavailable:  "try again later",
}

// answer has the registry refuse all that is pushed with a status, or take it again for 0.
func (r *registry) answer(status int) { r.refusal.Store(int32(status)) }

// hold has the registry answer nobody until release is called, once or more often.
func (r *registry) hold() (release func()) {
	held := make(chan struct{})
	r.held.Store(&held)
	return sync.OnceFunc(func() { r.held.Store(nil); close(held) })
}

// busyboxBase is the path and tag of a base in a registry.
const busyboxBase = "/base/busybox:latest"

// pushBusybox pushes a base to where nobody has to sign in. Each seed makes another image.
func pushBusybox(ctx context.Context, ref, seed string) error {
	layer, err := site.BusyboxLayer(filepath.Join(root, ".fenceline", "base", "busybox"), map[string]string{"etc/seed": seed})
	if err == nil {
		_, err = site.PushBase(ctx, ref, layer, site.Login{})
	}
	return err
}

// has sees that an image is there.
func (r *registry) has(ctx context.Context, image string) error {
	ref, err := name.NewDigest(image)
	if err != nil {
		return err
	}
	_, err = remote.Head(ref, remote.WithContext(ctx))
	return err
}
