package standalone

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
)

// withRoom refuses pushes while the disk is all but full, ends one that fills it, and says so plainly,
// where the registry itself answers "unknown error".
func withRoom(room *Room, logger zerolog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete {
			next.ServeHTTP(w, r)
			return
		}
		full := func() {
			message := fmt.Sprintf("the registry's disk is full: free some space at %s and push again", room.dir)
			logger.Error().Str("path", r.URL.Path).Msg("push refused: " + message)
			registryError(w, http.StatusInsufficientStorage, "DENIED", message)
		}
		if err := room.forPushes(); errors.Is(err, ErrDiskFull) {
			full()
			return
		}
		content := &boundedContent{ReadCloser: r.Body, room: room}
		r.Body = content
		answer := &failureWatch{ResponseWriter: w, content: content, full: func() {
			removeUpload(room.dir, r.URL.Path)
			full()
		}}
		next.ServeHTTP(answer, r)
		answer.finish()
	})
}

// boundedContent is what is pushed, for as long as there is room for it.
type boundedContent struct {
	io.ReadCloser
	room *Room
	read int // since the last look at the disk
	full bool
}

// lookAfter is how much is taken between two looks at the disk.
const lookAfter = 4 << 20

// Read reads on, or fails where the disk is all but full.
func (b *boundedContent) Read(p []byte) (int, error) {
	if b.read >= lookAfter {
		b.read = 0
		if err := b.room.forPushes(); errors.Is(err, ErrDiskFull) {
			b.full = true
			return 0, err
		}
	}
	n, err := b.ReadCloser.Read(p)
	b.read += n
	return n, err
}

// removeUpload removes what came of an upload that is refused, which nobody goes on with and which would
// keep the disk full. Path is that of its request, /v2/NAME/blobs/uploads/ID.
func removeUpload(dir, path string) {
	name, id, ok := strings.Cut(strings.TrimPrefix(path, "/v2/"), "/blobs/uploads/")
	upload := filepath.Join("docker/registry/v2/repositories", name, "_uploads", id)
	if ok && id != "" && filepath.IsLocal(name) && filepath.IsLocal(id) {
		_ = os.RemoveAll(filepath.Join(dir, upload)) // the registry itself removes it after a week
	}
}

// failureWatch holds an error answer back until it is known not to be about a full disk.
type failureWatch struct {
	http.ResponseWriter
	full    func()
	content *boundedContent
	status  int // of an answer that is held back
	body    bytes.Buffer
}

func (f *failureWatch) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		f.ResponseWriter.WriteHeader(status)
		return
	}
	f.status = status
}

func (f *failureWatch) Write(b []byte) (int, error) {
	if f.status == 0 {
		return f.ResponseWriter.Write(b)
	}
	return f.body.Write(b)
}

func (f *failureWatch) finish() {
	if f.status == 0 {
		return
	}
	// An error in the storage driver shows as text or as the errno of a *fs.PathError.
	if f.content.full || bytes.Contains(f.body.Bytes(), []byte(syscall.ENOSPC.Error())) ||
		bytes.Contains(f.body.Bytes(), fmt.Appendf(nil, `"Err":%d}`, syscall.ENOSPC)) {
		f.Header().Del("Content-Length")
		f.full()
		return
	}
	f.ResponseWriter.WriteHeader(f.status)
	_, _ = f.ResponseWriter.Write(f.body.Bytes()) // a client that went away needs no answer
}

// Unwrap lets http.ResponseController reach the connection.
func (f *failureWatch) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// checkWritable tells whether files can be made in dir.
func checkWritable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return fmt.Errorf("writing to %s: %w", dir, err)
	}
	f.Close()
	return os.Remove(f.Name())
}
