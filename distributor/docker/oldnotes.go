package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
	"github.com/fenceline/fenceline/messages"
)

// An engine before Docker 1.11 has no volumes with labels. There a note is an image without files, whose comment
// has it, under a tag of its own.

const (
	// noteTags begins the tags of notes.
	noteTags = messages.LocalHost + "/note:"
	// noteComment begins the comments of notes: an engine answers a comment that is JSON as something else than text.
	noteComment = "fenceline-note "
	// newTag ends the second name that a note has for a moment.
	newTag = "-new"
)

// noteTag is the tag of a note. Notes that say the same have one.
func noteTag(n distributor.Note) string {
	return noteTags + strings.TrimPrefix(noteName(n), "fenceline-")
}

// isNote tells whether an image is a note.
func isNote(tags []string) bool { return len(tags) > 0 && strings.HasPrefix(tags[0], noteTags) }

// noteImages lists the notes of all agents.
func (e *Engine) noteImages(ctx context.Context) ([]distributor.Note, error) {
	const doing = "listing notes, which are images"
	list, err := e.api().ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return nil, e.fault(ctx, doing, err)
	}
	e.mu.Lock()
	known := e.notes
	e.mu.Unlock()
	now := map[string]distributor.Note{}
	var out []distributor.Note
	for _, i := range list.Items {
		if !isNote(i.RepoTags) {
			continue
		}
		note, is := known[i.ID]
		if !is {
			got, err := e.api().ImageInspect(ctx, i.ID)
			if errdefs.IsNotFound(err) {
				continue // it is gone
			}
			if err != nil {
				return nil, e.fault(ctx, doing, err)
			}
			text, ok := strings.CutPrefix(got.Comment, noteComment)
			if !ok || json.Unmarshal([]byte(text), &note) != nil {
				continue // it is none of ours
			}
		}
		now[i.ID] = note
		out = append(out, note)
	}
	e.mu.Lock()
	e.notes = now
	e.mu.Unlock()
	return out, nil
}

// addNoteImage keeps a note. One that says the same stays as it is. An engine tells nobody of what it loads, so that
// a second name is taken off again: that is told.
func (e *Engine) addNoteImage(ctx context.Context, n distributor.Note) error {
	const doing = "keeping a note, which is an image"
	tag := noteTag(n)
	_, err := e.api().ImageInspect(ctx, tag)
	if err == nil {
		return nil
	}
	if !errdefs.IsNotFound(err) {
		return e.fault(ctx, doing, err)
	}
	archive, err := noteArchive(tag, n)
	if err == nil {
		err = e.load(ctx, bytes.NewReader(archive), func() {})
	}
	if err == nil {
		_, err = e.api().ImageTag(ctx, client.ImageTagOptions{Source: tag, Target: tag + newTag})
	}
	if err == nil {
		_, err = e.api().ImageRemove(ctx, tag+newTag, client.ImageRemoveOptions{PruneChildren: true})
	}
	if err != nil {
		return e.fault(ctx, doing, err)
	}
	return nil
}

// noteArchive is a note as an engine loads it.
func noteArchive(tag string, n distributor.Note) ([]byte, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(tag+"\n"+string(text))))
	image, err := json.Marshal(map[string]any{"id": id, "created": epoch, "comment": noteComment + string(text), "config": struct{}{}, "os": "linux"})
	if err != nil {
		return nil, err
	}
	names, err := repositories(tag, id)
	if err != nil {
		return nil, err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = errors.Join(emptyFolder(w, id, image), write(w, "repositories", names), w.Close())
	return archive.Bytes(), err
}

// removeNoteImage removes a note, and the second name of one whose agent ended before it took that off.
func (e *Engine) removeNoteImage(ctx context.Context, n distributor.Note) error {
	for _, tag := range []string{noteTag(n) + newTag, noteTag(n)} {
		_, err := e.api().ImageRemove(ctx, tag, client.ImageRemoveOptions{PruneChildren: true})
		if err != nil && !errdefs.IsNotFound(err) {
			return e.fault(ctx, "removing a note, which is an image", err)
		}
	}
	return nil
}
