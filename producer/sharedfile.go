package producer

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
)

// fileErrorMost bounds what a producer tells others of what is wrong with its pipeline file, in bytes.
const fileErrorMost = 4000

// FileTeller tells the installation whether a producer's pipeline file can be used. Nil tells nobody.
type FileTeller struct {
	records *queue.Records[messages.RefusedFile]
	name    string
}

// TellFiles tells by a client, as this machine.
func TellFiles(c *queue.Client) *FileTeller {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return &FileTeller{store.RefusedFiles(c), name}
}

// refused tells why a file can't be used.
func (f *FileTeller) refused(s *FileState) error {
	return f.records.Note(messages.RefusedFileKey(f.name, s.Path), messages.RefusedFile{
		Producer: f.name, Path: s.Path, Error: messages.Shorten(s.Error, fileErrorMost), Since: s.Since,
	})
}

// fine tells that it can.
func (f *FileTeller) fine(ctx context.Context, path string) error {
	key := messages.RefusedFileKey(f.name, path)
	e, err := f.records.Current(ctx, key)
	if err == nil || errors.Is(err, messages.ErrMalformed) {
		err = f.records.Delete(ctx, key, e.Revision)
	}
	if errors.Is(err, queue.ErrNotFound) {
		return nil
	}
	return err
}

// tellFile tells of the pipeline file whenever it is read, and while it is refused again and again, until ctx ends.
func (p *Producer) tellFile(ctx context.Context) {
	if p.files == nil {
		return
	}
	fine := false // that it is was told
	for {
		p.file.lock.Lock()
		s := p.file.state
		p.file.lock.Unlock()
		bounded, cancel := context.WithTimeout(ctx, sweepTimeout)
		var err error
		switch {
		case s.Path == "": // the pipelines are of no file
		case s.Error != "":
			fine, err = false, p.files.refused(&s)
		case !fine:
			err = p.files.fine(bounded, s.Path)
			fine = err == nil
		}
		cancel()
		if err != nil && ctx.Err() == nil { // an installation of before has no place for it
			p.log.Debug().Err(err).Msg("telling of the pipeline file: it is tried again")
		}
		select {
		case <-ctx.Done():
			return
		case <-p.file.told:
		case <-time.After(messages.RefusedFileEvery):
		}
	}
}
