package standalone

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"syscall"

	"github.com/rs/zerolog"
)

// registryReserve is what a push leaves free on the disk, for JetStream's files beside it.
const registryReserve = 64 << 20

// withDiskCheck refuses pushes while the disk is all but full, and says so plainly when it
// fills up in the middle of one, where the registry itself answers "unknown error".
func withDiskCheck(dir string, logger zerolog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodDelete {
			next.ServeHTTP(w, r)
			return
		}
		full := func() {
			message := fmt.Sprintf("the registry's disk is full: free some space at %s and push again", dir)
			logger.Error().Str("path", r.URL.Path).Msg("push refused: " + message)
			registryError(w, http.StatusInsufficientStorage, "DENIED", message)
		}
		if free, err := freeBytes(dir); err == nil && free < registryReserve {
			full()
			return
		}
		answer := &failureWatch{ResponseWriter: w, full: full}
		next.ServeHTTP(answer, r)
		answer.finish()
	})
}

// failureWatch holds an error answer back until it is known not to be about a full disk.
type failureWatch struct {
	http.ResponseWriter
	full   func()
	status int // of an answer that is held back
	body   bytes.Buffer
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
	if bytes.Contains(f.body.Bytes(), []byte(syscall.ENOSPC.Error())) ||
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

// freeBytes is what an ordinary user may still write to the disk of path.
func freeBytes(path string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("asking for the free space of %s: %w", path, err)
	}
	return s.Bavail * uint64(s.Bsize), nil
}

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
