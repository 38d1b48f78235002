package hooks

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

const guide = "../../examples/guide/"

// allowed are the sudoers lines that a Dockerfile adds.
var allowed = regexp.MustCompile(`(?m)^RUN echo "(.*)" >> /etc/sudoers$`)

// TestTheGuidesHooks: what the gate says of the admin guide's hooks is what their README says.
func TestTheGuidesHooks(t *testing.T) {
	readme := guideFile(t, "README.md")
	dockerfile := guideFile(t, "newrelic/Dockerfile")
	var sudoers strings.Builder
	for _, m := range allowed.FindAllStringSubmatch(dockerfile, -1) {
		sudoers.WriteString(m[1] + "\n")
	}
	for name, c := range map[string]struct{ hook, sudoers string }{
		"without sudo":                     {guideFile(t, "without-sudo/hooks/pre-running"), ""},
		"with sudo":                        {guideFile(t, "newrelic/hooks/pre-running"), sudoers.String()},
		"with sudo that nobody is allowed": {guideFile(t, "newrelic/hooks/pre-running"), ""},
		"without its fi":                   {strings.ReplaceAll(guideFile(t, "newrelic/hooks/pre-running"), "\nfi\n", "\n"), sudoers.String()},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, fstest.MapFS{
				"etc/stackato/hooks/pre-running": script(c.hook),
				"etc/sudoers":                    {Data: []byte(c.sudoers), Mode: 0o440},
				"etc/passwd":                     {Data: []byte("root:x:0:0::/root:/bin/bash\nstackato:x:1000:1000::/home/stackato:/bin/bash\n"), Mode: 0o644},
				"bin/sh":                         script("dash"),
				"usr/bin/sudo":                   script("sudo"),
				"etc/init.d/newrelic-sysmond":    script("#!/bin/sh\n"),
				"usr/sbin/nrsysmond-config":      script("#!/bin/sh\n"),
			})
			if failed := strings.Contains(name, "nobody") || strings.Contains(name, "fi"); r.Rejected() != failed {
				t.Errorf("rejected: %v", r.Rejected())
			}
			for _, f := range r.Findings {
				said := fmt.Sprintf("%d: %s", f.Line, strings.TrimSuffix(f.Problem+"; "+f.Fix, "; "))
				t.Log(f.File, said)
				if !strings.Contains(readme, "pre-running:"+said+"\n") {
					t.Errorf("the README does not have: %s:%s", f.File, said)
				}
			}
		})
	}
}

func guideFile(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(guide + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
