package docker

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/fenceline/fenceline/distributor"
)

// A note is a volume without content: the only thing that an engine keeps by itself, with labels, and
// that needs no image.

// Labels of the volumes that are notes.
const (
	labelNote  = "fenceline.note" // the kind
	labelRealm = "fenceline.realm"
	labelText  = "fenceline.text"
	labelWhy   = "fenceline.why"
	labelAt    = "fenceline.at" // RFC 3339
)

// noteName is the name of a note's volume. Notes that say the same have one.
func noteName(n distributor.Note) string {
	sum := sha256.Sum256([]byte(string(n.Kind) + "\n" + n.Realm + "\n" + n.Text))
	return fmt.Sprintf("fenceline-%s-%x", n.Kind, sum[:8])
}

// Notes lists the notes of all agents.
func (e *Engine) Notes(ctx context.Context) ([]distributor.Note, error) {
	if _, err := e.version(ctx); err != nil {
		return nil, e.fault(ctx, "listing notes", err)
	}
	if e.isBefore(apiVolumes) {
		return e.noteImages(ctx)
	}
	list, err := e.api().VolumeList(ctx, client.VolumeListOptions{Filters: client.Filters{}.Add("label", labelNote)})
	if err != nil {
		return nil, e.fault(ctx, "listing notes, which are volumes", err)
	}
	var out []distributor.Note
	for _, v := range list.Items {
		at, err := time.Parse(time.RFC3339, v.Labels[labelAt])
		if err != nil {
			continue // it is none of ours
		}
		out = append(out, distributor.Note{
			Kind: distributor.NoteKind(v.Labels[labelNote]), Realm: v.Labels[labelRealm], Text: v.Labels[labelText], Why: v.Labels[labelWhy], At: at,
		})
	}
	return out, nil
}

// AddNote keeps a note. One that says the same stays as it is.
func (e *Engine) AddNote(ctx context.Context, n distributor.Note) error {
	if _, err := e.version(ctx); err != nil {
		return e.fault(ctx, "keeping a note", err)
	}
	if e.isBefore(apiVolumes) {
		return e.addNoteImage(ctx, n)
	}
	_, err := e.api().VolumeCreate(ctx, client.VolumeCreateOptions{
		Name: noteName(n), Driver: "local",
		Labels: map[string]string{
			labelNote: string(n.Kind), labelRealm: n.Realm, labelText: n.Text, labelWhy: n.Why, labelAt: n.At.UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		return e.fault(ctx, "keeping a note, which is a volume", err)
	}
	return nil
}

// RemoveNote removes a note.
func (e *Engine) RemoveNote(ctx context.Context, n distributor.Note) error {
	if _, err := e.version(ctx); err != nil {
		return e.fault(ctx, "removing a note", err)
	}
	if e.isBefore(apiVolumes) {
		return e.removeNoteImage(ctx, n)
	}
	_, err := e.api().VolumeRemove(ctx, noteName(n), client.VolumeRemoveOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return e.fault(ctx, "removing a note, which is a volume", err)
	}
	return nil
}
