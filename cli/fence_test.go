package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

// TestDoctorLooksAtTheFenceConfig checks the place that is configured, for a controller and for all roles.
func TestDoctorLooksAtTheFenceConfig(t *testing.T) {
	s := queuetest.Start(t)
	s.Client(t)
	t.Setenv("FENCELINE_NATS", s.URL())
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"natskv":                {nil, "in the installation's own bucket"},
		"exec":                  {[]string{"--fence", "exec", "--fence-get", "true", "--fence-set", "true"}, "exec can be read"},
		"exec without commands": {[]string{"--fence", "exec"}, "(--fence-get, --fence-set)"},
		"a command that fails":  {[]string{"--fence", "exec", "--fence-get", "sh -c 'echo no store >&2; exit 3'", "--fence-set", "true"}, "exit status 3: no store"},
		"kato that is missing":  {[]string{"--fence", "kato", "--kato", "/nowhere/kato"}, "(--kato)"},
		"Redis that is away":    {[]string{"--fence", "confdis", "--redis-uri", "redis://127.0.0.1:1/0"}, "127.0.0.1:1"},
	} {
		got := fenceline(t, append([]string{"doctor", "controller", "-o", "json"}, test.args...)...)
		var found []checked
		if err := json.Unmarshal([]byte(got.out), &found); err != nil || len(found) != 2 || found[1].What != "fence config" {
			t.Fatalf("%s: %v: %+v", name, err, got)
		}
		fine := name == "natskv" || name == "exec"
		if found[1].OK != fine || (got.status == ExitDone) != fine || !strings.Contains(found[1].Found+found[1].Problem, test.says) {
			t.Errorf("%s: %+v", name, found[1])
		}
	}
	got := fenceline(t, "doctor", "controller", "--fence", "katto")
	if got.status != ExitUsage || !strings.Contains(got.err, `"katto"`) || !strings.Contains(got.err, "natskv, kato, confdis, exec") || !strings.Contains(got.err, `did you mean "kato"?`) {
		t.Errorf("an unknown backend: %+v", got)
	}
}
