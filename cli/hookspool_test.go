package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestAPushIsKeptThroughALossOfPower: its file is synced before it gets its name, and the folder after that; and so is the folder that
// has the spool. What can't be synced is told.
func TestAPushIsKeptThroughALossOfPower(t *testing.T) {
	dir := t.TempDir()
	var synced []string
	sync := syncFile
	defer func() { syncFile = sync }()
	syncFile = func(f *os.File) error {
		name, err := filepath.Rel(dir, f.Name())
		queuetest.Must(t, err)
		synced = append(synced, name)
		if strings.HasSuffix(name, ".json") {
			named := filepath.Join(filepath.Dir(f.Name()), strings.TrimPrefix(filepath.Base(name), "."))
			if _, err := os.Stat(named); err == nil {
				t.Errorf("%s has its name before it is synced", name)
			}
		}
		return sync(f)
	}
	s := hookSpool{dir: filepath.Join(dir, "spool")}
	unkept, err := s.keep([]pushedRef{{"a", "b", "refs/heads/main"}})
	if err != nil || len(unkept) > 0 || len(synced) != 3 || synced[0] != "." || !strings.HasPrefix(synced[1], "spool/.") || synced[2] != "spool" {
		t.Errorf("unkept %v, %v; synced %v", unkept, err, synced)
	}
	syncFile = func(f *os.File) error {
		if strings.HasSuffix(f.Name(), ".json") {
			return os.ErrInvalid
		}
		return nil
	}
	if unkept, err = s.keep([]pushedRef{{"b", "c", "refs/heads/main"}}); err == nil || len(unkept) != 1 {
		t.Errorf("what can't be synced: unkept %v, %v", unkept, err)
	}
	if kept, err := s.list(); err != nil || len(kept) != 1 {
		t.Errorf("kept %v, %v", kept, err)
	}
}

func TestOneIsToldOfAllPushesOfARef(t *testing.T) {
	push := func(before, after, file string) keptPush {
		return keptPush{Before: before, After: after, Ref: "refs/heads/main", Pusher: after, files: []string{file}}
	}
	for name, c := range map[string]struct {
		kept []keptPush
		want keptPush
	}{
		"one after the other":          {[]keptPush{push("a", "b", "1"), push("b", "c", "2")}, push("a", "c", "1")},
		"the later one kept first":     {[]keptPush{push("b", "c", "1"), push("a", "b", "2")}, push("a", "c", "1")},
		"there and back":               {[]keptPush{push("a", "b", "1"), push("b", "a", "2")}, push("a", "a", "1")},
		"with one between that is not": {[]keptPush{push("a", "b", "1"), push("c", "d", "2")}, push("a", "d", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			other := keptPush{Before: "x", After: "y", Ref: "refs/heads/other"}
			got := lastOfEach(append([]keptPush{other}, c.kept...))
			if len(got) != 2 || got[1].Before != c.want.Before || got[1].After != c.want.After || got[1].Pusher != c.want.After || !slices.Equal(got[1].files, []string{"1", "2"}) {
				t.Errorf("%+v", got)
			}
		})
	}
}
