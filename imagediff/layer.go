package imagediff

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/fenceline/fenceline/registries"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// kind is what an entry of a layer is.
type kind int

const (
	isFolder kind = iota
	isFile
	isLink     // symbolic
	isSameAs   // a hard link
	isOther    // a device, a pipe
	isWhiteout // takes away what lower layers have there
	isOpaque   // takes away what lower layers have in this folder
)

// entry is one of a layer that matters.
type entry struct {
	kind   kind
	path   string // without a slash in front
	target string // of links
	file   *file  // of isFile
}

// file is a file's content, or why it is not kept.
type file struct {
	mode    fs.FileMode
	content []byte
	size    int64
	lost    string // why content is not there
	unread  string // where in the layers it is, if it is not there because nobody had looked for it
}

// boundError tells that an image was not read to its end, or can't be unpacked. It is no error of its registry.
type boundError struct{ error }

func (e boundError) Unwrap() error { return e.error }

// budget is what may still be read.
type budget struct {
	limits  Limits
	bytes   int64 // of an image, uncompressed
	entries int
	kept    *int64 // of both, names and all
}

// mostIdle is how long a registry may send nothing in the middle of a layer.
const mostIdle = time.Minute

const (
	// mostEntries bounds what is kept of a layer beside files: a folder of packages has a file for each.
	mostEntries = 50_000
	// entryBytes is about what each part of an entry's path takes, and of where it leads to, in what layers make of it for both images.
	entryBytes = 256
)

// layer reads which of a layer's entries are wanted, in its order. covered tells of files that a layer above has, too.
func (s *source) layer(ctx context.Context, d ocispecs.Descriptor, want *wanted, covered map[string]bool, left *budget) ([]entry, error) {
	ctx, cancel := context.WithCancelCause(registries.Quietly(ctx))
	defer cancel(nil)
	what := "layer " + d.Digest.String()
	d.URLs = nil // whoever made the image says where to read it from there
	idle := s.client.idle
	watch := time.AfterFunc(idle, func() { cancel(fmt.Errorf("the registry sent nothing for %v", idle)) })
	defer watch.Stop()
	body, err := s.fetcher.Fetch(ctx, d)
	if err != nil {
		return nil, s.failed(ctx, what, err)
	}
	defer body.Close()
	watch.Stop() // what is unpacked takes its time
	in := &sent{body: body, left: d.Size, watch: watch, idle: idle, hash: d.Digest.Algorithm().Hash()}
	all, err := unpack(in, want, covered, left)
	if in.err == nil && !errors.As(err, new(boundError)) { // to its end, so that what was read is known to be what was asked for
		_, _ = io.Copy(io.Discard, in)
	}
	switch bound := (boundError{}); {
	case in.err != nil:
		return nil, s.failed(ctx, what, in.err)
	case errors.As(err, &bound):
		return nil, boundError{fmt.Errorf("%s: %w", what, err)}
	case digest.NewDigest(d.Digest.Algorithm(), in.hash) != d.Digest:
		return nil, s.failed(ctx, what, errOther)
	case err != nil:
		return nil, boundError{fmt.Errorf("%s can't be unpacked: %w", what, err)}
	}
	return all, nil
}

// sent is what a registry sends, of which no more is taken than there should be.
type sent struct {
	body  io.Reader
	left  int64
	watch *time.Timer // runs while something is waited for
	idle  time.Duration
	hash  hash.Hash
	err   error // of the registry, not of what it sent
}

// Read reads what may be read.
func (s *sent) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.watch.Reset(s.idle)
	n, err := s.body.Read(p[:min(int64(len(p)), s.left)])
	s.watch.Stop()
	s.left -= int64(n)
	_, _ = s.hash.Write(p[:n])
	if errors.Is(err, io.EOF) && s.left > 0 {
		err = fmt.Errorf("it ends %d bytes too early: %w", s.left, io.ErrUnexpectedEOF)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// unpack takes the entries that are wanted out of a layer, however it is compressed.
func unpack(in io.Reader, want *wanted, covered map[string]bool, left *budget) ([]entry, error) {
	raw, done, err := plain(in)
	if err != nil {
		return nil, err
	}
	defer done()
	out := &taking{want: want, covered: covered, left: left}
	counted := &measured{raw, left}
	for in := tar.NewReader(counted); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, counted) // padding, and what a hash is of
			return out.all, err
		}
		if err == nil {
			err = out.take(h, in)
		}
		if err != nil {
			return nil, err
		}
	}
}

// windowMost is the most memory that zstd may want for what it refers back to, as its own program allows at the highest level.
const windowMost = 128 << 20

// plain unpacks gzip and zstd, by how they begin: media types are not always right.
func plain(in io.Reader) (out io.Reader, done func(), err error) {
	b := bufio.NewReaderSize(in, 64<<10)
	begin, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(begin, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		return z, func() {}, err
	case bytes.Equal(begin, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(begin) == 4 && begin[0]&0xf0 == 0x50 && bytes.Equal(begin[1:], []byte{0x2a, 0x4d, 0x18}): // the latter are skipped
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowMost))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}

// measured ends where an image was read as far as it may be.
type measured struct {
	io.Reader
	left *budget
}

// Read reads what may be read.
func (c *measured) Read(p []byte) (int, error) {
	if c.left.bytes <= 0 {
		return 0, boundError{fmt.Errorf("the image was read for %d MiB, unpacked, and no further", c.left.limits.Bytes>>20)}
	}
	n, err := c.Reader.Read(p[:min(int64(len(p)), c.left.bytes)])
	c.left.bytes -= int64(n)
	return n, err
}

// taking takes what is wanted out of a layer.
type taking struct {
	want    *wanted
	covered map[string]bool
	left    *budget
	all     []entry
}

// The names of whiteouts (https://github.com/opencontainers/image-spec/blob/main/layer.md). Others that begin as these are aufs's own.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
	aufsOwn  = ".wh..wh."
)

func (t *taking) take(h *tar.Header, content io.Reader) error {
	if t.left.entries--; t.left.entries < 0 {
		return boundError{fmt.Errorf("the image has more than %d files, folders and links", t.left.limits.Entries)}
	}
	e := entry{path: cleaned(h.Name)}
	switch dir, base := path.Split(e.path); {
	case base == opaque:
		e.kind, e.path = isOpaque, cleaned(dir)
	case strings.HasPrefix(base, aufsOwn):
		return nil
	case strings.HasPrefix(base, whiteout):
		e.kind, e.path = isWhiteout, path.Join(dir, base[len(whiteout):])
	default:
		e.kind = kindOf(h)
	}
	if !t.want.takes(e.path) && !(e.kind == isOpaque && e.path == ".") {
		return nil
	}
	if len(t.all) == mostEntries {
		return boundError{fmt.Errorf("a layer has more than %d files among those that tell which packages there are", mostEntries)}
	}
	if len(e.path) > pathMost {
		return boundError{fmt.Errorf("a path in it has more than %d bytes", pathMost)}
	}
	switch e.kind {
	case isLink:
		e.target = h.Linkname
	case isSameAs:
		e.target = cleaned(h.Linkname)
	default:
	}
	parts := 1 + strings.Count(e.path, "/") + strings.Count(e.target, "/")
	if *t.left.kept += int64(parts*entryBytes + len(e.path) + len(e.target)); *t.left.kept > t.left.limits.Kept {
		return boundError{fmt.Errorf("the files and links that tell which packages there are take more than %d MiB", t.left.limits.Kept>>20)}
	}
	if e.kind == isFile {
		var err error
		if e.file, err = t.read(e.path, h, content); err != nil {
			return err
		}
	}
	t.all = append(t.all, e)
	return nil
}

// read keeps a file's content, where it matters and may be kept.
func (t *taking) read(name string, h *tar.Header, content io.Reader) (*file, error) {
	f := &file{mode: h.FileInfo().Mode(), size: h.Size}
	switch limits := &t.left.limits; {
	case !t.want.reads(name):
		f.lost, f.unread = "it was not looked for", name
	case t.covered[name]:
		f.lost = "a layer above has it"
	case h.Size > limits.File:
		f.lost = fmt.Sprintf("it has %d MiB, and files of more than %d MiB are not looked into", h.Size>>20, limits.File>>20)
	case *t.left.kept+h.Size > limits.Kept:
		f.lost = fmt.Sprintf("such files have more than %d MiB together", limits.Kept>>20)
	default:
		*t.left.kept += h.Size
		var b bytes.Buffer // not of h.Size at once: the layer may end before that
		if _, err := io.Copy(&b, content); err != nil {
			return nil, err
		}
		f.content = b.Bytes()
	}
	return f, nil
}

// pathMost bounds paths, and what a link may name, as the kernel does (PATH_MAX).
const pathMost = 4096

func kindOf(h *tar.Header) kind {
	switch h.Typeflag {
	case tar.TypeDir:
		return isFolder
	case tar.TypeReg, tar.TypeGNUSparse:
		return isFile
	case tar.TypeSymlink:
		if len(h.Linkname) <= pathMost {
			return isLink
		}
	case tar.TypeLink:
		if len(h.Linkname) <= pathMost {
			return isSameAs
		}
	}
	return isOther
}

// cleaned is a path of a layer without a slash in front, which stays below the root.
func cleaned(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "."
	}
	return name
}
