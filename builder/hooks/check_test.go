package hooks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const dir = "/etc/stackato/hooks"

func script(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: 0o755} }

func run(t *testing.T, image fstest.MapFS) *Report {
	t.Helper()
	for _, program := range []string{"sh", "bash", "sudo", "env", "true", "a", "b", "x", "included", "dotted"} {
		if image["bin/"+program] == nil {
			image["bin/"+program] = script("")
		}
	}
	image["usr/bin/env"] = script("")
	r, err := Check(image, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one checks that exactly one finding was made and has the words in it.
func one(t *testing.T, r *Report, line int, warning bool, words ...string) {
	t.Helper()
	if len(r.Findings) != 1 {
		t.Fatalf("%d findings, want 1: %v", len(r.Findings), r.Findings)
	}
	f := r.Findings[0]
	if f.Line != line || f.Warning != warning {
		t.Errorf("line %d, warning %v; want %d, %v: %v", f.Line, f.Warning, line, warning, f)
	}
	for _, w := range words {
		if !strings.Contains(f.String(), w) {
			t.Errorf("finding %q lacks %q", f, w)
		}
	}
	if f.Fix == "" || f.File == "" {
		t.Errorf("finding without file or fix: %+v", f)
	}
}

func TestAnImageWithoutHooksPasses(t *testing.T) {
	if r := run(t, fstest.MapFS{"etc/passwd": script("x")}); r.Rejected() || len(r.Hooks) != 0 {
		t.Errorf("report %+v", r)
	}
}

func TestGoodHooksPass(t *testing.T) {
	r := run(t, fstest.MapFS{
		"etc/stackato/hooks/pre-running":  script("#!/bin/sh\nexport A=1 B=2\nexport STACKATO_HOOK_ENV=A,B\n"),
		"etc/stackato/hooks/pre-staging":  script("#!/usr/bin/env -S bash -e\na=(1 2)\n[[ -n ${a[0]} ]] && echo yes\n"),
		"etc/stackato/hooks/post-staging": script("echo no shebang\n"),
	})
	if len(r.Findings) != 0 {
		t.Errorf("findings: %v", r.Findings)
	}
	if got := strings.Join(r.Hooks, " "); got != "pre-staging post-staging pre-running" {
		t.Errorf("hooks %s", got)
	}
}

func TestAnImageWithoutTheShellIsRejected(t *testing.T) {
	for name, c := range map[string]struct {
		hook   string
		shells []string
		line   int
		words  []string // of the finding; none when the image passes
	}{
		"bash, with sh alone":        {"#!/bin/bash\n:\n", []string{"bin/sh"}, 1, []string{"/bin/bash", "does not have"}},
		"sh, with bash alone":        {"#!/bin/sh\n:\n", []string{"bin/bash"}, 1, []string{"/bin/sh", "does not have"}},
		"no shebang, with none":      {":\n", nil, 0, []string{"neither /bin/bash nor /bin/sh", "base with a shell"}},
		"no shebang, with sh alone":  {":\n", []string{"bin/sh"}, 0, nil},
		"no shebang, with bash only": {":\n", []string{"bin/bash"}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			image := fstest.MapFS{"etc/stackato/hooks/pre-running": script(c.hook)}
			for _, s := range c.shells {
				image[s] = script("")
			}
			r, err := Check(image, dir, "")
			if err != nil {
				t.Fatal(err)
			}
			if c.words != nil {
				one(t, r, c.line, false, c.words...)
			} else if len(r.Findings) != 0 {
				t.Errorf("findings %v", r.Findings)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	cases := map[string]struct {
		name    string
		content string
		mode    fs.FileMode
		line    int
		warning bool
		words   []string
	}{
		"a near miss of a name":            {name: "pre-stage", content: "x", mode: 0o755, words: []string{"pre-staging, post-staging and pre-running", "rename it to pre-staging"}},
		"an underscore":                    {name: "pre_running.sh", content: "x", mode: 0o755, words: []string{"rename it to pre-running"}},
		"a stray file":                     {name: "README.md", content: "x", mode: 0o644, words: []string{"remove it"}},
		"no execute bit":                   {content: "#!/bin/sh\n:\n", mode: 0o644, words: []string{"not executable", "chmod 755 pre-running"}},
		"another interpreter":              {content: "#!/usr/bin/python3\n", mode: 0o755, line: 1, words: []string{"python3", "#!/bin/bash"}},
		"another interpreter by env":       {content: "#!/usr/bin/env -S perl -w\n", mode: 0o755, line: 1, words: []string{"perl"}},
		"a relative interpreter":           {content: "#!bash\n", mode: 0o755, line: 1, words: []string{"absolute"}},
		"no interpreter":                   {content: "#!\n:\n", mode: 0o755, line: 1, words: []string{"no interpreter"}},
		"Windows line ends":                {content: "#!/bin/sh\n:\necho a\r\n", mode: 0o755, line: 3, words: []string{"CRLF", "dos2unix"}},
		"a Windows end of the last line":   {content: "#!/bin/sh\r", mode: 0o755, line: 1, words: []string{"CRLF"}},
		"more than one word behind env":    {content: "#!/usr/bin/env bash -e\n:\n", mode: 0o755, line: 1, words: []string{`"bash -e"`, "#!/bin/bash"}},
		"a byte order mark":                {content: "\xef\xbb\xbf#!/bin/sh\n", mode: 0o755, line: 1, words: []string{"byte order mark"}},
		"a program":                        {content: "\x7fELF\x00\x01", mode: 0o755, words: []string{"not a text file"}},
		"an empty file":                    {content: "\n", mode: 0o755, warning: true, words: []string{"empty"}},
		"a missing fi":                     {content: "#!/bin/sh\n:\nif [ -z \"$A\" ]; then\n  A=1\n", mode: 0o755, line: 3, words: []string{"fi", "add the missing fi"}},
		"a missing done":                   {content: "for a in 1; do\n:\n", mode: 0o755, line: 1, words: []string{"add the missing done"}},
		"an open quote":                    {content: "echo 1\necho \"a\n", mode: 0o755, line: 2, words: []string{"close the quote"}},
		"bash in an sh script":             {content: "#!/bin/sh\na=(1 2)\n", mode: 0o755, line: 2, words: []string{"bash only", "#!/bin/bash"}},
		"a listed variable that isn't set": {content: "export A=1\nexport STACKATO_HOOK_ENV=A,B\n", mode: 0o755, line: 2, words: []string{"lists B", "never sets"}},
		"a listed name with a blank":       {content: "A=1 B=2\nSTACKATO_HOOK_ENV='A, B'\n", mode: 0o755, line: 2, words: []string{`" B"`, "commas alone"}},
		"a variable only marked":           {content: "export B\nSTACKATO_HOOK_ENV=B\n", mode: 0o755, line: 2, words: []string{"lists B"}},
		"a credential":                     {content: "#!/bin/sh\nLICENSE_KEY=0123456789abcdef\n", mode: 0o755, line: 2, warning: true, words: []string{"credential"}},
		"sudo without sudoers":             {content: "sudo /bin/true\n", mode: 0o755, line: 1, words: []string{"no /etc/sudoers", "stackato ALL= NOPASSWD: /bin/true"}},
		"too large":                        {content: strings.Repeat("#\n", MaxSize), mode: 0o755, words: []string{"bytes"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.name == "" {
				c.name = "pre-running"
			}
			r := run(t, fstest.MapFS{"etc/stackato/hooks/" + c.name: {Data: []byte(c.content), Mode: c.mode}})
			one(t, r, c.line, c.warning, c.words...)
			if r.Rejected() == c.warning {
				t.Errorf("rejected %v", r.Rejected())
			}
		})
	}
}

func TestCredentialIsNotShown(t *testing.T) {
	for _, line := range []string{
		"export NEW_RELIC_LICENSE_KEY=${NEW_RELIC_LICENSE_KEY:-deadbeefdeadbeef}", "curl https://bob:hunter2secret@example.com/",
		"AWS=AKIAABCDEFGHIJKLMNOP", "tool --password=deadbeefdeadbeef", "T=ghp_deadbeefdeadbeefdeadbeef", "# -----BEGIN RSA PRIVATE KEY-----",
	} {
		r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/bin/sh\n" + line + "\n")})
		one(t, r, 2, true)
		for _, secret := range []string{"deadbeef", "hunter2", "AKIA"} {
			if strings.Contains(r.Findings[0].String(), secret) {
				t.Errorf("%s shows the value", r.Findings[0])
			}
		}
	}
}

func TestWhatIsNoCredential(t *testing.T) {
	for _, line := range []string{"TOKEN=$(cat /run/token)", "PASSWORD=\"$MYSQL_PASSWORD\"", "SECRET_FILE=/etc/secret/file", "echo the token-based-thing", "export API_KEY"} {
		r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/bin/sh\n" + line + "\n")})
		if len(r.Findings) != 0 {
			t.Errorf("%s: %v", line, r.Findings)
		}
	}
}

func TestAHooksFolderThatLeadsNowhereIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		at, to  string // "" for a file
		finding string
	}{
		"a link to nowhere":       {dir, "none", dir + ": is a link that leads to no folder"},
		"a link to a file":        {dir, "../../file", dir + ": is a link that leads to no folder"},
		"a link on the way to it": {"/etc/stackato", "none", "/etc/stackato: is a link that leads to no folder"},
		"a file in its place":     {dir, "", dir + ": is not a folder"},
		"a file on the way to it": {"/etc/stackato", "", "/etc/stackato: is not a folder"},
	} {
		t.Run(name, func(t *testing.T) {
			image := t.TempDir()
			at := filepath.Join(image, c.at)
			err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(filepath.Join(image, "file"), nil, 0o600))
			if c.to == "" {
				err = errors.Join(err, os.WriteFile(at, nil, 0o600))
			} else {
				err = errors.Join(err, os.Symlink(c.to, at))
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := Check(os.DirFS(image), dir, "")
			if err != nil {
				t.Fatal(err)
			}
			one(t, r, 0, false, c.finding)
		})
	}
}

func TestLinks(t *testing.T) {
	link := func(to string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
	}
	t.Run("to a script", func(t *testing.T) {
		if r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": link("../../real"), "etc/real": script("#!/bin/sh\n:\n")}); len(r.Findings) != 0 {
			t.Errorf("findings %v", r.Findings)
		}
	})
	t.Run("to nowhere", func(t *testing.T) {
		one(t, run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": link("nowhere")}), 0, false, "leads nowhere")
	})
	t.Run("to a folder", func(t *testing.T) {
		one(t, run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": link("../../d"), "etc/d/x": script("")}), 0, false, "not a regular file")
	})
	t.Run("a folder of that name", func(t *testing.T) {
		one(t, run(t, fstest.MapFS{"etc/stackato/hooks/pre-running/x": script("")}), 0, false, "not a regular file")
	})
}

func TestCheckDir(t *testing.T) {
	d := t.TempDir()
	if err := os.WriteFile(filepath.Join(d, "pre-running"), []byte("#!/bin/sh\nsudo /bin/x\nif true; then\n:\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := CheckDir(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	one(t, r, 3, false, "pre-running:3", "add the missing fi")
	if err := os.Remove(filepath.Join(d, "pre-running")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(d, "pre-running")); err != nil {
		t.Fatal(err)
	}
	if r, err = CheckDir(d, nil); err != nil {
		t.Fatal(err)
	}
	one(t, r, 0, false, "leads nowhere")
	if _, err := CheckDir(filepath.Join(d, "none"), nil); err == nil {
		t.Error("no error for a folder that isn't there")
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("#!/bin/sh\nif true; then\n", "stackato ALL= NOPASSWD: /bin/x\n")
	f.Add("sudo -u bob -- x y\nSTACKATO_HOOK_ENV=A,$B\n", "Cmnd_Alias A = B : B = A\nstackato ALL=(ALL:ALL) NOPASSWD: A, !/bin/y : H = C\n#includedir /etc/sudoers.d\n")
	f.Fuzz(func(t *testing.T, hook, rules string) {
		r, err := Check(fstest.MapFS{
			"bin/sh": script(""), "bin/bash": script(""),
			"etc/stackato/hooks/pre-running": script(hook), "etc/sudoers": script(rules), "etc/sudoers.d/x": script(rules),
		}, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.Findings {
			if f.File == "" || f.Problem == "" || f.Fix == "" || f.Line < 0 || strings.ContainsAny(f.String(), "\n\x00") {
				t.Errorf("finding %+v", f)
			}
		}
	})
}
