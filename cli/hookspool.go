package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
)

// hookSpool is a folder beside a repository that has the pushes of which the producer is not known to have been told: a
// file for each, whose names are in the order of the pushes.
type hookSpool struct{ dir string }

// keptPush is a push in the spool.
type keptPush struct {
	Before string `json:"before"`
	After  string `json:"after"`
	Ref    string `json:"ref"`
	Pusher string `json:"pusher"`

	files []string // that have it; none where it could not be kept
}

// mostKept bounds the spool. Of each ref the last push alone is sent, so that it is far above what is.
const mostKept = 10_000

// lockPause is between looks whether another push is done with the spool.
const lockPause = 20 * time.Millisecond

// keep writes pushes into the spool, and returns those that could not be.
func (s hookSpool) keep(pushed []pushedRef) (unkept []keptPush, err error) {
	if len(pushed) == 0 {
		return nil, nil
	}
	entries, err := s.names()
	if err == nil {
		err = os.MkdirAll(s.dir, 0o700)
	}
	if err == nil && len(entries)+len(pushed) > mostKept {
		err = fmt.Errorf("%s has %d pushes already, and %d at most: run 'fenceline hook flush' once the producer is back", s.dir, len(entries), mostKept)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(s.dir)) // it may have been made just now
	}
	at := time.Now().UnixNano()
	for i, p := range pushed {
		k := keptPush{Before: p.before, After: p.after, Ref: p.ref, Pusher: whoPushed()}
		if err == nil {
			err = s.write(fmt.Sprintf("%020d-%06d-%s.json", at, i, messages.NewID()), &k)
		}
		if err != nil {
			unkept = append(unkept, k)
		}
	}
	return unkept, errors.Join(err, syncFolder(s.dir))
}

// syncFile has what was written to a file or folder outlast a loss of power. Tests watch it.
var syncFile = (*os.File).Sync //nolint:gochecknoglobals // so that they can

// syncFolder syncs a folder, so that the names of its files last. One that isn't there has none.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = syncFile(f)
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) { // some file systems sync no folders
		err = nil
	}
	return errors.Join(err, f.Close())
}

// writeSynced writes a file, and syncs it.
func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = syncFile(f)
	}
	return errors.Join(err, f.Close())
}

// write writes a file whole or not at all.
func (s hookSpool) write(name string, k *keptPush) error {
	content, err := json.Marshal(k)
	if err != nil {
		return err
	}
	temporary := filepath.Join(s.dir, "."+name)
	err = writeSynced(temporary, content)
	if err == nil {
		err = os.Rename(temporary, filepath.Join(s.dir, name))
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}

// names are those of the files that have pushes, in the order of these.
func (s hookSpool) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, err
}

// list reads what is kept. A file that is none of ours, or was cut short by a crash, is told and passed over.
func (s hookSpool) list() (kept []keptPush, err error) {
	names, err := s.names()
	for _, name := range names {
		file := filepath.Join(s.dir, name)
		content, bad := os.ReadFile(file)
		k := keptPush{files: []string{file}}
		if bad == nil {
			bad = json.Unmarshal(content, &k)
		}
		if bad != nil || k.Ref == "" {
			err = errors.Join(err, fmt.Errorf("%s is no push that was kept: remove it (%w)", file, errors.Join(bad)))
			continue
		}
		kept = append(kept, k)
	}
	return kept, err
}

// drop removes files of pushes that the producer knows of.
func (hookSpool) drop(files []string) {
	for _, f := range files {
		_ = os.Remove(f) // one that stays is sent again, and is the same push then
	}
}

// lock waits until no other push sends what is kept. Where the folder can't be written there is nothing to lock.
func (s hookSpool) lock(ctx context.Context) (unlock func(), err error) {
	f, failed := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if failed != nil {
		return func() {}, nil //nolint:nilerr // who can't make the file can't write the folder: nothing is kept, and all is sent
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !queue.Pause(ctx, lockPause) {
			_ = f.Close()
			return nil, fmt.Errorf("another push is being told to the producer: %w", context.Cause(ctx))
		}
	}
}

// lastOfEach makes one push of all of a ref, from what was before the first to what is after the last, in the order of
// the last ones. The hooks of two pushes at once, or a clock that was set back, can keep the later one first: it
// begins where the other ends.
func lastOfEach(kept []keptPush) []keptPush {
	var out []keptPush
	for _, k := range kept {
		if i := slices.IndexFunc(out, func(o keptPush) bool { return o.Ref == k.Ref }); i >= 0 {
			o := out[i]
			k.files = append(o.files, k.files...)
			if k.After == o.Before && k.Before != o.After {
				k.After, k.Pusher = o.After, o.Pusher
			} else {
				k.Before = o.Before
			}
			out = slices.Delete(out, i, i+1)
		}
		out = append(out, k)
	}
	return out
}

const (
	// maxToldMessage and maxToldPaths bound what the producer is told of a push beside its commits.
	maxToldMessage = 8 << 10
	maxToldPaths   = 1000
)

// body is the webhook of a push. What git here knows of its commits saves the producer from asking; where git doesn't, the
// producer asks.
func (g *gitHook) body(ctx context.Context, repository string, k keptPush) ([]byte, error) {
	told := map[string]any{"repository": repository, "before": k.Before, "after": k.After, "ref": k.Ref, "pusher": k.Pusher}
	if messages.CheckCommit(k.After) != nil {
		return json.Marshal(told) // the producer says what is wrong with it
	}
	if out, err := g.git(ctx, "rev-parse", "--verify", "--quiet", k.After+"^{commit}"); err == nil {
		told["after"] = strings.TrimSpace(out) // an annotated tag's commit
	}
	if out, err := g.git(ctx, "show", "--no-patch", "--format=%B", k.After+"^{commit}", "--"); err == nil {
		told["message"] = messages.Shorten(out, maxToldMessage)
	}
	if messages.CheckCommit(k.Before) == nil && strings.HasPrefix(k.Ref, "refs/heads/") {
		out, err := g.git(ctx, "diff-tree", "-r", "-z", "--no-renames", "--name-only", k.Before, k.After, "--")
		if paths := strings.FieldsFunc(out, func(r rune) bool { return r == 0 }); err == nil && len(paths) <= maxToldPaths {
			told["paths"] = append([]string{}, paths...)
		}
	}
	return json.Marshal(told)
}
