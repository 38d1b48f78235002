package docker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

const (
	// unpackedRatio is how many times its size a layer is taken to have unpacked that doesn't say it: more
	// than most have.
	unpackedRatio = 3
	// measured is how many layers are asked at one time how large they are.
	measured = 4
	// idleTime is how long a connection to a registry is kept, for the next of a few questions.
	idleTime = 5 * time.Second
	// certificates is where engines keep the certificates of registries, a folder for each.
	certificates = "/etc/docker/certs.d"
)

// remoteImage is an image in its registry, or of a content.
type remoteImage struct {
	image     messages.Image
	ref       name.Digest
	transport http.RoundTripper // nil where it is of a content
	from      distributor.Content
	platform  v1.Platform
	layers    []distributor.Layer // from the lowest
	kinds     []string            // their media types
}

// manifestOf reads an image's manifest from a content, or from its registry where that is nil, for the platform of
// the engine.
func (e *Engine) manifestOf(ctx context.Context, image messages.Image, from distributor.Content) (*remoteImage, error) {
	e.mu.Lock()
	known := e.wanted
	e.mu.Unlock()
	if known != nil && known.image == image && (known.from == nil) == (from == nil) {
		known.from = from
		return known, nil
	}
	r, err := e.readManifest(ctx, image, from)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.wanted = r
	e.mu.Unlock()
	return r, nil
}

func (e *Engine) readManifest(ctx context.Context, image messages.Image, from distributor.Content) (*remoteImage, error) {
	if from == nil {
		r, err := e.registryOf(ctx, image)
		if err != nil {
			return nil, err
		}
		return r, r.read(ctx)
	}
	p, err := e.partsOf(ctx, image, from)
	if err != nil {
		return nil, err
	}
	r := &remoteImage{image: image, from: from}
	r.add(p.manifest, p.config)
	return r, nil
}

// registryOf opens the registry of an image as the engine does: with the login that pulls have, the
// certificates of its folder, and without TLS where it was told so.
func (e *Engine) registryOf(ctx context.Context, image messages.Image) (*remoteImage, error) {
	info, err := e.api().Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, e.fault(ctx, "asking how it reaches registries", err)
	}
	platform, err := e.platform(ctx)
	if err != nil {
		return nil, err
	}
	var options []name.Option
	ref, err := name.NewDigest(string(image))
	if err != nil {
		return nil, err
	}
	host := ref.RegistryStr()
	insecure := false
	if c := info.Info.RegistryConfig; c != nil {
		index, listed := c.IndexConfigs[host]
		insecure = listed && !index.Secure || within(host, c.InsecureRegistryCIDRs)
	}
	if insecure {
		options = append(options, name.Insecure)
	}
	if ref, err = name.NewDigest(string(image), options...); err != nil {
		return nil, err
	}
	auth, err := e.Login(host)
	if err != nil {
		return nil, err
	}
	through := e.transport
	if through == nil {
		through = transportTo(host, insecure)
	}
	opened, err := transport.NewWithContext(ctx, ref.Registry, auth, through, []string{ref.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	return &remoteImage{
		image: image, ref: ref, transport: opened, platform: platform,
	}, nil
}

// platform is what the engine runs. It is asked once, and again after the engine was gone.
func (e *Engine) platform(ctx context.Context) (v1.Platform, error) {
	e.mu.Lock()
	known := e.runs
	e.mu.Unlock()
	if known.OS != "" {
		return known, nil
	}
	v, err := e.api().ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return v1.Platform{}, e.fault(ctx, "asking for the platform", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.runs = v1.Platform{OS: v.Os, Architecture: v.Arch}
	return e.runs, nil
}

// within tells whether a registry's host is an address in one of some networks.
func within(host string, networks []netip.Prefix) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, n := range networks {
		if n.Contains(address) {
			return true
		}
	}
	return false
}

// transportTo trusts the certificates that the engine has for a registry, beside the machine's.
func transportTo(host string, insecure bool) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // the standard library's
	t.IdleConnTimeout = idleTime
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // as the engine was told to
	files, _ := filepath.Glob(filepath.Join(certificates, host, "*.crt"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if t.TLSClientConfig.RootCAs == nil {
			if t.TLSClientConfig.RootCAs, err = x509.SystemCertPool(); err != nil {
				t.TLSClientConfig.RootCAs = x509.NewCertPool()
			}
		}
		t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text)
	}
	return t
}

// read reads what the manifest and the configuration say.
func (r *remoteImage) read(ctx context.Context) error {
	image, err := remote.Image(r.ref, remote.WithContext(ctx), remote.WithTransport(r.transport), remote.WithPlatform(r.platform))
	if err != nil {
		return err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	if manifest.Config.Size > maxConfig {
		return fmt.Errorf("its configuration has %s", messages.Size(manifest.Config.Size))
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return fmt.Errorf("its manifest has %d layers and its configuration %d", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	r.add(manifest, config)
	return nil
}

// add takes the layers of a manifest and its configuration, which has as many.
func (r *remoteImage) add(manifest *v1.Manifest, config *v1.ConfigFile) {
	for i, l := range manifest.Layers {
		r.layers = append(r.layers, distributor.Layer{Digest: l.Digest.String(), Content: config.RootFS.DiffIDs[i].String(), Size: l.Size, Unpacked: -1})
		r.kinds = append(r.kinds, string(l.MediaType))
	}
}

// LayersOf reads the layers of an image, from the lowest, and how large they are unpacked, as an engine of a platform
// would find them. It needs no engine.
func LayersOf(ctx context.Context, image messages.Image, from distributor.Content, platform v1.Platform) ([]distributor.Layer, error) {
	e := &Engine{runs: platform}
	r, err := e.readManifest(ctx, image, from)
	if err != nil {
		return nil, err
	}
	r.measure(ctx, 0)
	return r.layers, nil
}

// legacyIDs are the IDs of its layers on an engine before Docker 1.10.
func (r *remoteImage) legacyIDs() ([]legacyID, error) {
	var layers []v1.Hash
	for _, l := range r.layers {
		h, err := v1.NewHash(l.Content)
		if err != nil {
			return nil, err
		}
		layers = append(layers, h)
	}
	return legacyIDs(layers), nil
}

// measure finds out how large the layers from a number on are unpacked.
func (r *remoteImage) measure(ctx context.Context, from int) {
	var g errgroup.Group
	g.SetLimit(measured)
	for i := from; i < len(r.layers); i++ {
		if l := &r.layers[i]; l.Unpacked < 0 {
			g.Go(func() error {
				l.Unpacked = r.unpacked(ctx, l, r.kinds[i])
				return nil
			})
		}
	}
	_ = g.Wait() // none fails
}

// unpacked is how large a layer is unpacked: as it says itself at its end, or else a guess.
func (r *remoteImage) unpacked(ctx context.Context, l *distributor.Layer, mime string) int64 {
	guess := max(l.Size, 0)
	switch {
	case strings.HasSuffix(mime, "tar"):
		return guess
	case strings.HasSuffix(mime, "gzip"):
		if said, err := r.trailer(ctx, l); err == nil {
			return unpackedSize(l.Size, said)
		}
	}
	for range unpackedRatio - 1 {
		guess = distributor.Sum(guess, l.Size)
	}
	return guess
}

// unpackedSize is the size of what a gzip file has, by its own size and the last four bytes: those are the
// size modulo 2^32 (RFC 1952). It is no smaller than the file, but for a few bytes.
func unpackedSize(size int64, said uint32) int64 {
	out := int64(said)
	if least := size - size/64 - 64; out < least {
		out = distributor.Sum(out, (least-out+1<<32-1)>>32<<32)
	}
	return out
}

// trailer reads the last four bytes of a gzip file.
func (r *remoteImage) trailer(ctx context.Context, l *distributor.Layer) (uint32, error) {
	if r.transport == nil {
		last, err := r.from.End(ctx, l.Digest, l.Size, 4)
		if err != nil {
			return 0, err
		}
		return binary.LittleEndian.Uint32(last), nil
	}
	url := fmt.Sprintf("%s://%s/v2/%s/blobs/%s", r.ref.Scheme(), r.ref.RegistryStr(), r.ref.RepositoryStr(), l.Digest)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", l.Size-4, l.Size-1))
	answer, err := (&http.Client{Transport: r.transport}).Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusPartialContent {
		return 0, errors.New("the registry serves no part of a blob: " + answer.Status)
	}
	var last [4]byte
	if _, err := io.ReadFull(answer.Body, last[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(last[:]), nil
}
