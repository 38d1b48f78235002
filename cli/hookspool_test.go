package cli

import (
	"slices"
	"testing"
)

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
