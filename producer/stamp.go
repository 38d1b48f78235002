package producer

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"time"
)

// stamp is how a file was when it was looked at. It tells a change however an editor writes: in place, by
// another file of the same name, or by another target of a link.
type stamp struct {
	info fs.FileInfo       // nil where there is none
	sum  [sha256.Size]byte // of the content, or of the files that count
	at   time.Time         // of the look

	files []string // of a folder, those that count
}

// maxStamped bounds what is read for a stamp: more than any file that is taken.
const maxStamped = 2 << 20

// stampOf looks at a file.
func stampOf(path string) stamp {
	s := stamp{at: time.Now()}
	info, err := os.Stat(path)
	if err != nil {
		return s
	}
	s.info = info
	if !info.Mode().IsRegular() {
		return s
	}
	f, err := os.Open(path)
	if err != nil {
		return s
	}
	defer func() { _ = f.Close() }() // only read
	sum := sha256.New()
	_, _ = io.Copy(sum, io.LimitReader(f, maxStamped)) // what can't be read differs from what can, and is read again by the load
	sum.Sum(s.sum[:0])
	return s
}

// listing is the stamp of a folder of which these files count.
func (s stamp) listing(files []string) stamp {
	s.files = files
	s.sum = sha256.Sum256([]byte(strings.Join(files, "\x00")))
	return s
}

// settled is the age from which a file's time of change tells that it has not changed since: its clock may be coarse,
// or another machine's.
const settled = 10 * time.Second

// again looks at the file once more. What its size and time tell is not read, but where it could not be read before: a
// change of who may leaves both.
func (s stamp) again(path string) stamp {
	if s.files != nil {
		files, err := pipelineFiles(path)
		if err != nil {
			files = []string{}
		}
		return stampOf(path).listing(files)
	}
	unread := s.sum == [sha256.Size]byte{}
	if info, err := os.Stat(path); err == nil && s.info != nil && !unread && os.SameFile(info, s.info) && info.Size() == s.info.Size() &&
		info.ModTime().Equal(s.info.ModTime()) && info.Mode() == s.info.Mode() && s.at.Sub(info.ModTime()) > settled {
		return s
	}
	return stampOf(path)
}

// same tells whether a file is as it was. Another file with the same content and rights is.
func (s stamp) same(other stamp) bool {
	if s.info == nil || other.info == nil {
		return s.info == nil && other.info == nil
	}
	return s.sum == other.sum && s.info.Mode() == other.info.Mode()
}

// look looks at files once more.
func look(before map[string]stamp) map[string]stamp {
	after := make(map[string]stamp, len(before))
	for path, s := range before {
		after[path] = s.again(path)
	}
	return after
}

func sameFiles(a, b map[string]stamp) bool { return maps.EqualFunc(a, b, stamp.same) }
