package git

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/git/gittest"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/reach"
)

// tree lists what was checked out.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(dir, path)
		if err == nil && name != "." {
			if d.IsDir() {
				name += "/"
			}
			found = append(found, name)
		}
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCheckout(t *testing.T) {
	t.Setenv("GIT_LFS_SKIP_SMUDGE", "")
	server := gittest.Start(t)
	inner := server.Repository(t, "inner")
	innermost := inner.Commit(t, "main", map[string]string{"i": "innermost\n"})
	middle := server.Repository(t, "middle")
	middle.Commit(t, "main", map[string]string{"m": "m\n"})
	nested := middle.CommitSubmodule(t, "main", "deep/inner", "../inner.git", innermost)
	outer := server.Repository(t, "outer")
	outer.Commit(t, "main", map[string]string{"bin/run": "#!/bin/sh\n", "a/b.txt": "b\n", ".gitattributes": "*.bin filter=lfs\n", "x.bin": "x\n"})
	old := outer.CommitSubmodule(t, "main", "mod ä", "./../middle.git", nested)
	outer.Commit(t, "main", map[string]string{"later": "x"})
	for policy, want := range map[messages.Submodules][]string{
		messages.SubmodulesAll:      {".gitattributes", ".gitmodules", "a/", "a/b.txt", "bin/", "bin/run", "mod ä/", "mod ä/.gitmodules", "mod ä/deep/", "mod ä/deep/inner/", "mod ä/deep/inner/i", "mod ä/m", "x.bin"},
		messages.SubmodulesSameHost: {".gitattributes", ".gitmodules", "a/", "a/b.txt", "bin/", "bin/run", "mod ä/", "mod ä/.gitmodules", "mod ä/deep/", "mod ä/deep/inner/", "mod ä/deep/inner/i", "mod ä/m", "x.bin"},
		messages.SubmodulesNone:     {".gitattributes", ".gitmodules", "a/", "a/b.txt", "bin/", "bin/run", "mod ä/", "x.bin"},
	} {
		work := t.TempDir()
		dir, err := Checkout(t.Context(), Remote{URL: outer.URL, Token: messages.NewSecret("tok")}, old, work, policy)
		if err != nil {
			t.Fatalf("%s: %v", policy, err)
		}
		if got := tree(t, dir); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", policy, got, want)
		}
		for name, mode := range map[string]fs.FileMode{"bin/run": 0o755, "a/b.txt": 0o644, "a": 0o755} {
			if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: %v, %v", name, info, err)
			}
		}
		if left := tree(t, work); slices.ContainsFunc(left, func(s string) bool { return strings.HasPrefix(s, "git") }) {
			t.Errorf("%s: a clone is left", policy)
		}
	}
	server.RequireToken("tok")
	for name, c := range map[string]struct {
		commit, token string
		want          error
	}{
		"a commit that is gone": {strings.Repeat("ab", 20), "tok", ErrNoCommit},
		"a wrong token":         {old, "no", ErrDenied},
		"an option":             {"--upload-pack=x", "tok", nil},
		"a submodule's token":   {old, "tok", ErrDenied},
	} {
		_, err := Checkout(t.Context(), Remote{URL: outer.URL, Token: messages.NewSecret(c.token)}, c.commit, t.TempDir(), "")
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSubmodulesThatAreNotTaken has what people who can commit may write into .gitmodules.
func TestSubmodulesThatAreNotTaken(t *testing.T) {
	server, elsewhere := gittest.Start(t), gittest.Start(t)
	there := server.Repository(t, "shared").Commit(t, "main", map[string]string{"s": "s\n"})
	elsewhere.Repository(t, "shared").Commit(t, "main", map[string]string{"s": "s\n"})
	repo := server.Repository(t, "outer")
	repo.Commit(t, "main", map[string]string{"x": "x"})
	touched := filepath.Join(t.TempDir(), "touched")
	n := &names{answers: map[string][]string{"inside.example.test": {"10.1.2.3"}, "here.example.test": {"127.0.0.1"}}}
	for name, c := range map[string]struct {
		url    string
		policy messages.Submodules
		words  []string
	}{
		"a program":                 {"ext::sh -c touch% " + touched, "", []string{"builds may not read"}},
		"a file":                    {"file:///etc", "", []string{"builds may not read"}},
		"a path":                    {"/etc/shared.git", "", []string{"builds may not read"}},
		"an option":                 {"-u./touch", "", []string{"builds may not read"}},
		"a long option":             {"--upload-pack=touch " + touched, "", []string{"builds may not read"}},
		"a line break":              {`http://h.example/\n.git`, "", []string{"builds may not read"}},
		"a backslash":               {`http://127.0.0.1:1\\@h.example/a.git`, "", []string{"builds may not read"}},
		"a user":                    {"https://me:hunter2@h.example/a.git", "", []string{"builds may not read"}},
		"an unknown protocol":       {"foo://h.example/a.git", "", []string{"builds may not read", `"foo"`}},
		"ssh":                       {"git@h.example:a.git", "", []string{"by ssh"}},
		"ssh as a URL":              {"ssh://git@h.example/a.git", "", []string{"by ssh"}},
		"an option for ssh":         {"ssh://-oProxyCommand=touch/a.git", "", []string{"by ssh"}},
		"above the host":            {"../../../a.git", "", []string{"above"}},
		"nothing":                   {"", "", []string{"no url"}},
		"loopback":                  {elsewhere.URL + "/shared.git", "", []string{"127.0.0.1 is loopback", "allow-private-addresses"}},
		"loopback by a name":        {"http://here.example.test:80/a.git", "", []string{"127.0.0.1 is loopback"}},
		"a private address":         {"https://inside.example.test/a.git", "", []string{"10.1.2.3 is private"}},
		"the metadata service":      {"http://169.254.169.254/a.git", "", []string{"link-local"}},
		"in IPv6's form":            {"http://[::ffff:127.0.0.1]/a.git", "", []string{"loopback"}},
		"in IPv6's form, metadata":  {"http://[::ffff:a9fe:a9fe]/a.git", "", []string{"link-local"}},
		"through NAT64":             {"http://[64:ff9b::169.254.169.254]/a.git", "", []string{"link-local"}},
		"a link's own":              {"http://[fe80::1%25eth0]/a.git", "", []string{"one link"}},
		"IPv6's private":            {"http://[fd00::1]/a.git", "", []string{"private"}},
		"no address":                {"http://0.0.0.0:1/a.git", "", []string{"of this network"}},
		"in decimal":                {"http://2130706433/a.git", "", []string{"is a number"}},
		"in hexadecimal":            {"http://0x7f000001/a.git", "", []string{"is a number"}},
		"short":                     {"http://127.1/a.git", "", []string{"is a number"}},
		"in octal":                  {"http://0177.0.0.1/a.git", "", []string{"is a number"}},
		"git's own protocol":        {"git://127.0.0.1:1/a.git", "", []string{"loopback"}},
		"another host of a forge":   {elsewhere.URL + "/shared.git", messages.SubmodulesSameHost, []string{"of another host"}},
		"a host that isn't allowed": {"https://evil.example.net/a.git", "", []string{"not among those", "allow-hosts"}},
		"other letters":             {"https://gіthub.example/a.git", "", []string{"xn--"}},
	} {
		t.Run(name, func(t *testing.T) {
			commit := repo.CommitSubmodule(t, "main", "lib/shared", c.url, there)
			rules := &reach.Rules{Resolver: n}
			if strings.Contains(c.url, "evil") {
				rules.Hosts = []string{"127.0.0.1"}
			}
			_, err := Checkout(t.Context(), Remote{URL: repo.URL, Token: messages.NewSecret("s3cr3t-token"), Rules: rules}, commit, t.TempDir(), c.policy)
			var sub *SubmoduleError
			if !errors.As(err, &sub) || sub.Path != "lib/shared" || sub.Place != ".gitmodules:3" || errors.Is(err, ErrUnreachable) {
				t.Fatalf("%v", err)
			}
			for _, w := range c.words {
				if !strings.Contains(sub.Err.Error(), w) {
					t.Errorf("it lacks %q: %v", w, sub.Err)
				}
			}
		})
	}
	if _, err := os.Stat(touched); err == nil {
		t.Error("a program was run")
	}
	t.Run("allowed by the operator", func(t *testing.T) {
		repo := server.Repository(t, "allowed")
		repo.Commit(t, "main", map[string]string{"x": "x"})
		commit := repo.CommitSubmodule(t, "main", "shared", elsewhere.URL+"/shared.git", there)
		_, err := Checkout(t.Context(), Remote{URL: repo.URL, Rules: &reach.Rules{Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}, commit, t.TempDir(), "")
		if !errors.Is(err, ErrNoCommit) && err != nil { // two repositories of one content have one commit, unless a second passed
			t.Error(err)
		}
	})
}

func TestReadModules(t *testing.T) {
	for name, c := range map[string]struct {
		listed, text string
		want         map[string]module
	}{
		"names with dots and ..": {"submodule.../../x.path\nlib\x00submodule.../../x.url\nhttps://h/a.git\x00", "[submodule \"../../x\"]\n\tpath = lib\n\tURL = https://h/a.git\n",
			map[string]module{"lib": {url: "https://h/a.git", line: 3}}},
		"a path above":  {"submodule.a.path\n../../etc\x00submodule.a.url\nu\x00", "", map[string]module{"etc": {url: "u"}}},
		"not updated":   {"submodule.a.path\na\x00submodule.a.update\nnone\x00", "#\n[submodule \"a\"]\n", map[string]module{"a": {line: 2, skipped: true}}},
		"a command":     {"submodule.a.path\na\x00submodule.a.update\n!touch /tmp/x\x00submodule.a.url\nu\x00", "", map[string]module{"a": {url: "u"}}},
		"other entries": {"core.fsmonitor\ntouch\x00submodule\n\x00submodule.x\ny\x00", "", map[string]module{}},
		"quotes":        {"submodule.a\"b.path\na\x00submodule.a\"b.url\nu\x00", "[submodule \"a\\\"b\"] path = a\n  url = u\n[core]\nurl = x\n", map[string]module{"a": {url: "u", line: 2}}},
	} {
		got := readModules([]byte(c.listed), c.text)
		if len(got) != len(c.want) {
			t.Errorf("%s: %+v", name, got)
		}
		for path, m := range c.want {
			if got[path] != m {
				t.Errorf("%s: %+v, want %+v", name, got[path], m)
			}
		}
	}
}

func FuzzReadModules(f *testing.F) {
	f.Add([]byte("submodule.a.path\na\x00submodule.a.url\nu\x00"), "[submodule \"a\"]\n\turl = u\n")
	f.Fuzz(func(t *testing.T, listed []byte, text string) {
		for path, m := range readModules(listed, text) {
			if strings.HasPrefix(path, "/") || slices.Contains(strings.Split(path, "/"), "..") || m.line < 0 {
				t.Errorf("%q: %+v", path, m)
			}
		}
	})
}
