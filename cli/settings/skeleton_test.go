package settings

import (
	"strings"
	"testing"
)

// TestSkeletonsAreSettings: what install writes a role can read, once the placeholders are
// filled in and whatever is a comment there is given.
func TestSkeletonsAreSettings(t *testing.T) {
	for _, role := range Roles() {
		text := Skeleton(role, "/etc/fenceline/x.yaml")
		filled := strings.NewReplacer("FLEET.NODE", "production.node-1", "FLEET", "production", "CORE", "core").Replace(text)
		if _, err := Parse("/etc/fenceline/x.yaml", []byte(filled), role); err != nil {
			t.Error(err)
		}
		if _, err := Parse("/etc/fenceline/x.yaml", []byte(text), role); role == RoleDistributor && err == nil {
			t.Error("a node without a fleet would run")
		}
		for _, name := range names(Flags(role)) {
			if name != FileFlag && !strings.Contains(text, "\n"+name+": ") && !strings.Contains(text, "\n#"+name+": ") {
				t.Errorf("the settings of a %s are without %s", role, name)
			}
		}
	}
}
