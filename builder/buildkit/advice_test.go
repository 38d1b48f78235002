package buildkit_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/builder/buildkit/buildkittest"
	"github.com/fenceline/fenceline/builder/hooks"
	"github.com/fenceline/fenceline/messages"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// errRefused is that of a gate that refused an image.
var errRefused = errors.New("the gate refused the image")

// advised is a build that does what the gate advises until it passes.
type advised struct {
	dockerfile, hook string
}

var (
	sudoersAdvice = regexp.MustCompile(`add this line at the end of the image's /etc/sudoers: (.*)$`)
	runAdvice     = regexp.MustCompile(`RUN (.*) in the Dockerfile`)
	beginAdvice   = regexp.MustCompile(`begin it with (#![^ ,]+)`)
)

// follow does what a finding advises.
func (a *advised) follow(t *testing.T, f messages.Finding) {
	t.Helper()
	if m := sudoersAdvice.FindStringSubmatch(f.Fix); m != nil {
		a.dockerfile += "RUN <<'EOF' cat >>/etc/sudoers\n" + m[1] + "\nEOF\n"
	} else if m := runAdvice.FindStringSubmatch(f.Fix); m != nil {
		a.dockerfile += "RUN " + m[1] + "\n"
	} else if m := beginAdvice.FindStringSubmatch(f.Fix); m != nil {
		_, rest, _ := strings.Cut(a.hook, "\n")
		a.hook = m[1] + "\n" + rest
	} else {
		t.Fatalf("nobody could follow %q, of %v", f.Fix, f)
	}
}

// TestFollowedAdviceWorks does what the gate says to hooks that it refuses, until it passes. Then
// the hook has to work in a container, as the user that the platform runs it as.
func TestFollowedAdviceWorks(t *testing.T) {
	b := newBench(t)
	b.base = debian(t, b.registry)
	const tool = `printf '#!/bin/sh\nid -un; id -gn; echo "$GREETING"\n' >/usr/sbin/tool && chmod 755 /usr/sbin/tool`
	for at, c := range map[string]struct {
		setUp  string // in the Dockerfile, before the hooks
		copied string // options of COPY
		hook   string
		steps  int // how often the gate may refuse
		says   string
	}{
		"a command in sbin":                {"RUN " + tool, "", "#!/bin/sh\nsudo tool\n", 1, "root"},
		"the line for another path":        {"RUN " + tool + " && echo 'stackato ALL= NOPASSWD: /usr/bin/tool' >>/etc/sudoers", "", "#!/bin/sh\nsudo tool\n", 1, "root"},
		"another user":                     {"RUN useradd postgres && " + tool, "", "#!/bin/sh\nsudo -u postgres tool\n", 1, "postgres"},
		"the line without the user":        {"RUN useradd postgres && " + tool + " && echo 'stackato ALL= NOPASSWD: /usr/sbin/tool' >>/etc/sudoers", "", "#!/bin/sh\nsudo -u postgres tool\n", 1, "postgres"},
		"a user by number":                 {"RUN useradd -u 4711 site && " + tool, "", "#!/bin/sh\nsudo -u '#4711' tool\n", 1, "site"},
		"a group":                          {"RUN " + tool, "", "#!/bin/sh\nsudo -g games tool\n", 1, "games"},
		"a variable":                       {"RUN " + tool, "", "#!/bin/sh\nsudo GREETING=hello tool\n", 1, "hello"},
		"all variables":                    {"RUN " + tool, "", "#!/bin/sh\nexport GREETING=hello\nsudo -E tool\n", 1, "hello"},
		"a login shell":                    {"RUN true", "", "#!/bin/sh\nsudo -i id -un\n", 1, "root"},
		"odd characters":                   {"RUN mkdir /opt/a && printf '#!/bin/sh\\nid -un' >'/opt/a/b c,d=#' && chmod 755 /opt/a/*", "", "#!/bin/sh\nsudo '/opt/a/b c,d=#'\n", 1, "root"},
		"by the name of a link":            {"RUN " + tool + " && echo 'stackato ALL= NOPASSWD: /sbin/tool' >>/etc/sudoers", "", "#!/bin/sh\nsudo tool\n", 0, "root"},
		"a terminal":                       {"RUN " + tool + " && echo 'Defaults requiretty' >>/etc/sudoers", "", "#!/bin/sh\nsudo tool\n", 2, "root"},
		"sudoers that anybody may write":   {"RUN " + tool + " && chmod 666 /etc/sudoers", "", "#!/bin/sh\nsudo tool\n", 2, "root"},
		"a password, in a later file":      {"RUN " + tool + " && echo 'stackato ALL= /usr/sbin/tool' >/etc/sudoers.d/site", "", "#!/bin/sh\nsudo tool\n", 1, "root"},
		"a hook for root alone":            {"RUN true", "--chmod=700", "#!/bin/sh\nid -un\n", 1, "stackato"},
		"a hook that can't be read":        {"RUN true", "--chmod=711", "#!/bin/sh\nid -un\n", 1, "stackato"},
		"a folder for root alone":          {"RUN mkdir -p /etc/stackato && chmod 700 /etc/stackato", "", "#!/bin/sh\nid -un\n", 1, "stackato"},
		"bash under the name of sh":        {"RUN true", "", "#!/bin/sh\na=(one two)\nif [[ ${a[1]} == t* ]]; then echo \"${a[1]}\"; fi\n", 1, "two"},
		"env and a PATH without bash":      {"RUN true\nENV PATH=/opt/bin", "", "#!/usr/bin/env bash\necho $BASH\n", 1, "/bin/bash"},
		"a shell that is somewhere else":   {"RUN true", "", "#!/usr/local/bin/bash\necho here\n", 1, "here"},
		"a shell that not everybody may":   {"RUN chmod 750 /bin/bash", "", "#!/bin/bash\nid -un\n", 1, "stackato"},
		"data behind exit, and in Latin-1": {"RUN true", "", "#!/bin/sh\n# J\xfcrgen\necho done\nexit 0\nEOF( '\n", 0, "done"},
	} {
		t.Run(at, func(t *testing.T) {
			a := &advised{hook: c.hook, dockerfile: "FROM " + b.base + "\n" + c.setUp + "\nCOPY " + c.copied + " hooks /etc/stackato/hooks\n"}
			image := ""
			for steps := 0; image == ""; steps++ {
				report, built := b.gate(t, a)
				if image = built; image != "" {
					break
				}
				if steps == c.steps {
					t.Fatalf("refused once more, after %d times: %v", steps, report.Findings)
				}
				for _, f := range report.Findings {
					if !f.Warning {
						a.follow(t, f)
					}
				}
			}
			if out := inContainer(t, image); !strings.Contains(out, c.says) {
				t.Errorf("the hook said %q, without %q\n%s", out, c.says, a.dockerfile)
			}
		})
	}
}

// gate builds, and returns the image if the gate lets it pass.
func (b *bench) gate(t *testing.T, a *advised) (*hooks.Report, string) {
	t.Helper()
	o := b.order(t, map[string]string{"Dockerfile": a.dockerfile, "hooks/pre-running": a.hook})
	var report *hooks.Report
	o.Check = func(_ context.Context, image fs.FS) (err error) {
		if report, err = hooks.Check(image, messages.DefaultHooksDir, ""); err == nil && report.Rejected() {
			err = errRefused
		}
		return err
	}
	solved, err := b.solver.Solve(t.Context(), o.Build)
	if err != nil && !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	return report, solved.Image.String()
}

// inContainer runs the image's pre-running hook as the platform would.
func inContainer(t *testing.T, image string) string {
	t.Helper()
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "image", "rm", "--force", image).CombinedOutput(); err != nil {
			t.Logf("removing %s: %v\n%s", image, err, out)
		}
	})
	out, err := exec.CommandContext(t.Context(), "docker", "run", "--rm", "--user", "stackato", "--network", "none", image, "/etc/stackato/hooks/pre-running").CombinedOutput()
	if err != nil {
		t.Fatalf("the hook in a container of %s: %v\n%s", image, err, out)
	}
	return string(out)
}

// debian is the base of the examples with sudo in it.
func debian(t *testing.T, r *buildkittest.Registry) string {
	t.Helper()
	return fmt.Sprintf("%s AS base\nRUN apt-get update && apt-get -y install --no-install-recommends sudo\nFROM base", plainDebian(t, r))
}

// plainDebian pushes the base of the examples.
func plainDebian(t *testing.T, r *buildkittest.Registry) string {
	t.Helper()
	layer, err := tarball.LayerFromFile(buildkittest.Program(t, "FENCELINE_BASE_LAYER", "base/layer.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: config.RootFS, Config: v1.Config{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewTag(r.Host + "/debian:plain")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}
