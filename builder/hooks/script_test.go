package hooks

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestWhatIsNeverRead(t *testing.T) {
	for name, text := range map[string]string{
		"text behind exit":      "#!/bin/sh\nsed '1,/^__DATA__$/d' \"$0\" >/tmp/x\nexit 0\n__DATA__\naGVsbG8K(\n",
		"bytes behind exit":     "#!/bin/bash\ntrue; exit $?\n\x00\xff\x1f\x8b(\"'\n",
		"Windows lines there":   "#!/bin/sh\nexit 0\nREM )\r\n",
		"behind exec":           "#!/bin/sh\nexec /bin/true \"$@\"\n)(\n",
		"in a block":            "#!/bin/sh\n{ true; exit; }\nfi fi\n",
		"without any new line":  "#!/bin/sh\nexit 0",
		"Latin-1 in a comment":  "#!/bin/sh\n# Auteur: J\xfcrgen\n:\n",
		"Latin-1 in a string":   "#!/bin/bash\necho \"gr\xfcn\" 'gr\xfcn' gr\xfcn\n",
		"Latin-1 and no UTF-8":  "# \xa4\n:\n",
		"Latin-1 in a document": "#!/bin/sh\ncat <<EOF\n\xe9t\xe9\nEOF\n",
	} {
		t.Run(name, func(t *testing.T) {
			if r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(text)}); len(r.Findings) != 0 {
				t.Errorf("findings %v", r.Findings)
			}
		})
	}
	for name, text := range map[string]string{
		"an exit that may not come": "#!/bin/sh\n[ -e /x ] && exit 0\nfi\n",
		"an exit in a subshell":     "#!/bin/sh\n(exit 0)\nfi\n",
		"an exit in a function":     "#!/bin/sh\nf() { exit 0; }\nfi\n",
		"exec with a file alone":    "#!/bin/sh\nexec >/tmp/x\nfi\n",
		"before the exit":           "#!/bin/sh\n:\nfi; exit 0\n",
	} {
		t.Run(name, func(t *testing.T) {
			one(t, run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(text)}), 3, false, "does not parse")
		})
	}
}

func TestFirstLines(t *testing.T) {
	for name, c := range map[string]struct {
		first string
		have  string
		want  []string
	}{
		"bash by env":                  {"#!/usr/bin/env bash", "usr/local/bin/bash", nil},
		"bash by env, which is not":    {"#!/usr/bin/env bash", "bin/zsh", []string{"needs bash", "in its PATH", "install bash", "begin it with #!/bin/sh"}},
		"bash by env -S":               {"#!/usr/bin/env -S bash -e", "bin/zsh", []string{"needs bash"}},
		"bash by env -Sbash":           {"#!/usr/bin/env -Sbash -e", "bin/bash", nil},
		"bash by env and another PATH": {"#!/usr/bin/env -S PATH=/opt/bin bash", "opt/bin/bash", nil},
		"bash not in that PATH":        {"#!/usr/bin/env -S PATH=/opt/bin bash", "bin/bash", []string{"needs bash", "begin it with #!/bin/bash"}},
		"no env":                       {"#!/opt/env sh", "bin/bash", []string{"needs /opt/env"}},
		"bash elsewhere":               {"#!/usr/local/bin/bash", "bin/bash", []string{"needs /usr/local/bin/bash", "begin it with #!/bin/bash"}},
		"options as one word":          {"#!/bin/sh -e -u", "bin/bash", []string{`"-e -u"`, "-eu"}},
		"options together":             {"#!/bin/sh -eu", "bin/bash", nil},
		"UTF-16":                       {"\xff\xfe#\x00!\x00", "bin/bash", []string{"UTF-16"}},
		"another interpreter":          {"#!/usr/bin/python3", "bin/zsh", []string{"begin it with #!/bin/sh, and call"}},
	} {
		t.Run(name, func(t *testing.T) {
			image := fstest.MapFS{"etc/stackato/hooks/pre-running": script(c.first + "\n:\n"), "bin/sh": script(""), "usr/bin/env": script(""), c.have: script("")}
			r, err := Check(image, dir, "")
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if len(r.Findings) != 0 {
					t.Errorf("findings %v", r.Findings)
				}
				return
			}
			one(t, r, 1, false, c.want...)
		})
	}
}

// configured is an image with variables.
type configured struct {
	fstest.MapFS
	path string
}

func (c configured) Getenv(string) string { return c.path }
func (c configured) User() string         { return "app:wheel" }

func TestTheImagesOwnUser(t *testing.T) {
	image := configured{fstest.MapFS{
		"etc/stackato/hooks/pre-running": {Data: []byte("#!/bin/sh\n:\n"), Mode: 0o750, Sys: owned{0, 10}}, "bin/sh": script(""),
		"etc/passwd": {Data: []byte("app:x:7:7::/:/bin/sh\nother:x:8:8::/:/bin/sh\n")}, "etc/group": {Data: []byte("wheel:x:10:\n")},
	}, ""}
	for who, rejected := range map[string]bool{"": false, "app": true, "7:10": false, "7": true, "0": false, "other": true, "other:wheel": false} {
		if r, err := Check(image, dir, who); err != nil || r.Rejected() != rejected {
			t.Errorf("as %q: %v, %v", who, r, err)
		}
	}
	if r, err := Check(image, dir, "app", "other", ""); err != nil || len(r.Findings) != 2 || len(r.Hooks) != 1 {
		t.Errorf("as several: %v, %v", r, err)
	}
}

func TestThePathOfTheImage(t *testing.T) {
	image := configured{fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/usr/bin/env bash\n"), "usr/bin/env": script(""), "opt/sh/bash": script("")}, "/bin:/opt/sh"}
	if r, err := Check(image, dir, ""); err != nil || len(r.Findings) != 0 {
		t.Errorf("findings %v, %v", r, err)
	}
	image.path = ""
	if r, err := Check(image, dir, ""); err != nil || !r.Rejected() {
		t.Errorf("without it: %v, %v", r, err)
	}
}

func TestStrays(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  map[string]string // by file, in its fix
	}{
		"beside the hook":       {[]string{"pre-running", "pre-running~", "pre-running.orig", "#pre-running#"}, map[string]string{"pre-running~": "remove it", "pre-running.orig": "remove it", "#pre-running#": "remove it"}},
		"in place of the hook":  {[]string{"pre-running.sh", "pre_running"}, map[string]string{"pre-running.sh": "rename it to pre-running", "pre_running": "remove it"}},
		"what keeps a folder":   {[]string{".gitkeep", ".gitignore"}, map[string]string{".gitkeep": "remove it", ".gitignore": "remove it"}},
		"a folder of something": {[]string{"lib/note.sh", "pre-running.d/x"}, map[string]string{"lib": "another folder", "pre-running.d": "another folder"}},
	} {
		t.Run(name, func(t *testing.T) {
			image := fstest.MapFS{}
			for _, f := range c.files {
				image["etc/stackato/hooks/"+f] = script("#!/bin/sh\n:\n")
			}
			r := run(t, image)
			if len(r.Findings) != len(c.want) {
				t.Errorf("findings %v", r.Findings)
			}
			for _, f := range r.Findings {
				if want := c.want[f.File[len(dir)+1:]]; want == "" || !strings.Contains(f.Fix, want) {
					t.Errorf("%v, want %q", f, want)
				}
			}
		})
	}
}
