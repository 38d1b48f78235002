package messages

import (
	"slices"
	"testing"
)

func TestTypesKnowTheirVersions(t *testing.T) {
	const older, newer Type = "dev.fenceline.build.requested.v1", "dev.fenceline.build.requested.v10"
	registry[newer] = registry[TypeBuildRequested]
	defer delete(registry, newer)
	if got := older.Versions(); !slices.Equal(got, []Type{older, newer}) {
		t.Errorf("the versions are %v", got)
	}
	if got := TypeImageReady.Versions(); !slices.Equal(got, []Type{TypeImageReady}) {
		t.Errorf("the versions of another kind are %v", got)
	}
	if got := older.After(9); got != newer {
		t.Errorf("nine versions later is %s", got)
	}
	if got := Type("other").After(1); got != "" {
		t.Errorf("what is no type has the next version %q", got)
	}
	if got := older.Label(); got != "build-requested-v1" {
		t.Errorf("the label is %s", got)
	}
}
