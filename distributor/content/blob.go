package content

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// part is a manifest or blob that is read. Its last bytes are handed on once its digest is proven.
type part struct {
	ctx          context.Context //nolint:containedctx // a reader's, as http.Request has one
	c            *content
	kind, digest string
	size         int64 // -1 where it is not known: a manifest's

	left   []*place // not asked yet
	gave   []*place // that gave some of what was read
	body   io.ReadCloser
	hash   hash.Hash
	got    int64
	failed []error
	err    error
}

// open opens a part at the first place that has it.
func (c *content) open(ctx context.Context, kind, digest string, size int64) (*part, error) {
	if err := messages.CheckDigest(digest); err != nil {
		return nil, fmt.Errorf("reading a part of %s: %w: %w", c.image, distributor.ErrImage, err)
	}
	p := &part{ctx: ctx, c: c, kind: kind, digest: digest, size: size, hash: sha256.New()}
	for _, at := range c.places {
		if !at.lied && !at.rests() {
			p.left = append(p.left, at)
		}
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	return p, nil
}

// next goes on at the next place, from where the last one broke off.
func (p *part) next() error {
	for len(p.left) > 0 {
		at := p.left[0]
		p.left = p.left[1:]
		body, err := at.get(p.ctx, p.kind, p.digest, p.got, p.size)
		if p.ctx.Err() != nil {
			return context.Cause(p.ctx)
		}
		if err != nil {
			p.note(at, err)
			continue
		}
		p.body, p.c.from = body, at
		p.gave = append(p.gave, at)
		return nil
	}
	err := errors.Join(p.failed...)
	last := p.failed[len(p.failed)-1]
	return fmt.Errorf("fetching %s: %w: %w", p.c.image, kindOf(last), oneLine(err))
}

// note notes that a place failed.
func (p *part) note(at *place, err error) {
	err = fmt.Errorf("%s: %w", at.name, err)
	p.failed = append(p.failed, err)
	at.failedWith(err)
}

// Read reads on, at another place where one breaks off.
func (p *part) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.read(b)
	if err != nil {
		p.err = err
	}
	return n, err
}

func (p *part) read(b []byte) (int, error) {
	if p.size >= 0 {
		b = b[:min(int64(len(b)), p.size-p.got)]
		if p.got == p.size {
			return 0, p.prove()
		}
	}
	for {
		n, err := p.body.Read(b)
		if n > 0 {
			p.hash.Write(b[:n])
			if p.got += int64(n); p.got == p.size || p.size < 0 && p.got > maxManifest {
				if proof := p.prove(); !errors.Is(proof, io.EOF) {
					return 0, proof
				}
			}
			return n, nil
		}
		switch {
		case err == nil:
			continue
		case p.ctx.Err() != nil:
			return 0, context.Cause(p.ctx)
		case errors.Is(err, io.EOF) && p.size < 0:
			return 0, p.prove()
		case errors.Is(err, io.EOF):
			err = fmt.Errorf("its answer ended after %d of %d bytes", p.got, p.size)
		}
		p.body.Close()
		p.note(p.gave[len(p.gave)-1], err)
		if err := p.next(); err != nil {
			return 0, err
		}
	}
}

// prove holds what was read against the digest: io.EOF where it is that. Else those that gave it are not asked
// for this image again.
func (p *part) prove() error {
	if got := fmt.Sprintf("sha256:%x", p.hash.Sum(nil)); got != p.digest {
		var names []string
		for _, at := range p.gave {
			err := fmt.Errorf("%s: it gave wrong bytes for %s", at.name, p.digest)
			names = append(names, at.name)
			at.lied = !at.last
			at.failedWith(err)
		}
		return fmt.Errorf("fetching %s: %w for %s from %s", p.c.image, distributor.ErrWrongBytes, p.digest, strings.Join(names, " and "))
	}
	p.gave[len(p.gave)-1].worked() // those before it broke off
	return io.EOF
}

// Close ends the answer that is read.
func (p *part) Close() error { return p.body.Close() }

// oneLine is an error whose text has no line breaks.
func oneLine(err error) error { return line{err} }

type line struct{ error }

func (l line) Error() string { return strings.ReplaceAll(l.error.Error(), "\n", "; ") }
func (l line) Unwrap() error { return l.error }
