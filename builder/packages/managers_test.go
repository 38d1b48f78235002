package packages

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheManagerOfAnImage(t *testing.T) {
	for name, test := range map[string]struct{ files, want string }{
		"Debian":               {"usr/bin/apt-get bin/sh", "apt"},
		"Alpine":               {"sbin/apk bin/sh", "apk"},
		"Alpine, merged":       {"usr/bin/apk bin/sh", "apk"},
		"Fedora":               {"usr/bin/dnf usr/bin/yum bin/sh", "dnf"},
		"CentOS 7":             {"usr/bin/yum bin/sh", "yum"},
		"distroless":           {"var/lib/dpkg/status.d/base", ErrNone.Error()},
		"scratch":              {"", ErrNone.Error()},
		"a shell alone":        {"bin/sh", ErrNone.Error()},
		"without a shell":      {"usr/bin/apt-get", "the image has /usr/bin/apt-get and no /bin/sh to run it with"},
		"one that isn't asked": {"usr/bin/pacman bin/sh", "/usr/bin/pacman, which is not asked"},
		"two":                  {"usr/bin/apt-get usr/bin/zypper bin/sh", "apt"},
	} {
		image := fstest.MapFS{}
		for _, f := range strings.Fields(test.files) {
			image[f] = &fstest.MapFile{Mode: 0o755}
		}
		m, err := Of(image)
		got := m.Name
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, test.want) {
			t.Errorf("%s: %q; want %q", name, got, test.want)
		}
	}
	if _, err := Of(brokenFS{}); err == nil || !strings.Contains(err.Error(), "looking for /usr/bin/apt-get in the image: it is broken") {
		t.Errorf("an image that can't be read: %v", err)
	}
}

type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error) { return nil, errors.New("it is broken") }

// TestWhatManagersSay has what they print, in versions of Debian 12, Ubuntu 18.04, Alpine 3.20, Fedora 41 and CentOS 7.
func TestWhatManagersSay(t *testing.T) {
	refreshed := "Hit:1 http://deb.debian.org/debian bookworm InRelease\nReading package lists...\n" + asked + "\n"
	fetched := "fetch https://dl-cdn.alpinelinux.org/alpine/v3.20/main/x86_64/APKINDEX.tar.gz\nv3.20.3-1 [https://dl-cdn.alpinelinux.org/alpine/v3.20/main]\nOK: 24162 distinct packages available\n" + asked + "\n"
	for name, test := range map[string]struct {
		manager   Manager
		out, errs string
		status    int
		want      string // of Say, or of the error; "" for no updates
	}{
		"apt": {apt("apt-get"), refreshed + "Reading package lists...\nBuilding dependency tree...\nReading state information...\nCalculating upgrade...\nThe following packages will be upgraded:\n  libssl3 openssl\n" +
			"2 upgraded, 1 newly installed, 1 to remove and 0 not upgraded.\nRemv old [1.0]\nInst libssl3 [3.0.11-1~deb12u2] (3.0.14-1~deb12u1 Debian:12.6/stable [amd64]) []\nInst openssl [3.0.11-1~deb12u2] (3.0.14-1~deb12u1 Debian:12.6/stable [amd64])\n" +
			"Inst new (2.0-1 Debian:12.6/stable [all])\nConf libssl3 (3.0.14-1~deb12u1 Debian:12.6/stable [amd64])\n", "", 0,
			"4 packages have updates: old is removed, libssl3 3.0.11-1~deb12u2 -> 3.0.14-1~deb12u1, openssl 3.0.11-1~deb12u2 -> 3.0.14-1~deb12u1, new 2.0-1"},
		"apt, of none":          {apt("apt-get"), refreshed + "0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n", "", 0, ""},
		"apt without sources":   {apt("apt-get"), "Reading package lists...\n" + asked + "\n0 upgraded.\n", "", 0, "apt: the image names no source of packages"},
		"apt that warns":        {apt("apt-get"), refreshed, "W: Failed to fetch http://archive.ubuntu.com/ubuntu/dists/bionic/InRelease  Could not resolve 'archive.ubuntu.com'\nW: Some index files failed to download. They have been ignored, or old ones used instead.\n", 0, "apt: W: Failed to fetch http://archive"},
		"apt that fails":        {apt("apt-get"), "Err:1 http://deb.debian.org\n", "W: something\nE: Failed to fetch http://deb.debian.org  Connection failed\n", 100, "apt: it ended with status 100: E: Failed to fetch http://deb"},
		"apt that says nothing": {apt("apt-get"), "", "", 0, "apt: it did not come to the answer: it said nothing"},
		"apk": {apk("apk"), fetched + "(1/3) Upgrading musl (1.2.5-r0 -> 1.2.5-r1)\n(2/3) Installing new (1.0-r0)\n(3/3) Purging old (0.9-r0)\nOK: 8 MiB in 14 packages\n", "", 0,
			"3 packages have updates: musl 1.2.5-r0 -> 1.2.5-r1, new 1.0-r0, old is removed"},
		"apk, of none":           {apk("apk"), fetched + "OK: 8 MiB in 14 packages\n", "", 0, ""},
		"apk, of a folder":       {apk("apk"), " [/repo]\nOK: 1 distinct packages available\n" + asked + "\nOK: 8 MiB in 14 packages\n", "", 0, ""},
		"apk without sources":    {apk("apk"), "OK: 14 distinct packages available\n" + asked + "\nOK: 8 MiB\n", "", 0, "apk: the image names no source"},
		"apk that warns":         {apk("apk"), fetched + "OK\n", "WARNING: updating https://dl-cdn.alpinelinux.org: temporary error (try again later)\n", 0, "apk: WARNING: updating"},
		"apk that fails":         {apk("apk"), "fetch x\n4 errors; 14 distinct packages available\n", "ERROR: unable to select\n", 4, "apk: it ended with status 4: ERROR: unable"},
		"dnf":                    {dnf("dnf"), "\nopenssl-libs.x86_64      1:3.2.2-9.fc41      updates\nvim-minimal.x86_64 2:9.1.866-1.fc41 updates\nObsoleting Packages\nnew.noarch 1 updates\n    old.noarch 0 @System\n", "", 100, "2 packages have updates: openssl-libs 1:3.2.2-9.fc41, vim-minimal 2:9.1.866-1.fc41"},
		"yum, wrapped":           {yum("yum"), "\na-package-with-a-very-long-name.noarch\n                         1.2-3.el7         updates\nb.x86_64   1.4-5.el7_9.with.a.very.long.version\n          updates\n", "", 100, "2 packages have updates: a-package-with-a-very-long-name 1.2-3.el7, b 1.4-5.el7_9.with.a.very.long.version"},
		"dnf, of none":           {dnf("dnf"), "", "", 0, ""},
		"dnf without a net":      {dnf("dnf"), "", "Errors during downloading metadata for repository 'fedora':\n  - Curl error (6)\nError: Failed to download metadata for repo 'fedora'\n", 1, "dnf: it ended with status 1: Error: Failed"},
		"dnf that passes over":   {dnf("dnf"), "", "Ignoring repositories: fedora\n", 0, "dnf: Ignoring repositories: fedora"},
		"dnf that names nothing": {dnf("dnf"), "\n", "", 100, "dnf: it says that there are updates, and names none"},
		"a word for terminals":   {dnf("dnf"), "a\x1b[31m.noarch 1\u009b2 u\n", "", 100, "1 package has an update: a?[31m 1?2"},
		"a word without end":     {dnf("dnf"), strings.Repeat("a", 1000) + ".noarch 1 u\n", "", 100, "1 package has an update: " + strings.Repeat("a", wordMost) + "… 1"},
	} {
		got := ""
		updates, err := test.manager.Read(test.out, test.errs, test.status)
		switch {
		case err != nil:
			got = err.Error()
		case len(updates) > 0:
			got = Say(updates)
		}
		if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) || test.want == "" && got != "" {
			t.Errorf("%s: %q; want %q", name, got, test.want)
		}
	}
}

func TestManyUpdatesAreSaidInShort(t *testing.T) {
	var many []Update
	for i := range 10000 {
		many = append(many, Update{fmt.Sprintf("package%d", i), strings.Repeat("1", wordMost), strings.Repeat("2", wordMost)})
	}
	said := Say(many)
	if !strings.HasPrefix(said, "10000 packages have updates: package0 1") || !strings.HasSuffix(said, ", and 9995 more") || len(said) > 1100 {
		t.Errorf("%d bytes: %s", len(said), said)
	}
}

func TestDigestsTellListsApart(t *testing.T) {
	a, b := Update{"a", "1", "2"}, Update{"b", "1", "2"}
	if Digest(nil) != "" || Digest([]Update{a, b}) != Digest([]Update{b, a}) || Digest([]Update{a}) == Digest([]Update{b}) ||
		Digest([]Update{a}) == Digest([]Update{{"a", "1", "3"}}) || Digest([]Update{{"a b", "", ""}}) == Digest([]Update{{"a", "b", ""}}) {
		t.Error("two lists have one digest, or one list has two")
	}
}

// FuzzWhatManagersSay has images print anything: what is kept of it is short, and orders no terminal about.
func FuzzWhatManagersSay(f *testing.F) {
	f.Add("Hit:1 a\n"+asked+"\nInst a [1] (2 D [all])\n", "", 0)
	f.Add("fetch a\n"+asked+"\n(1/1) Upgrading a (1 -> 2)\n", "W: x", 0)
	f.Add("a.b 1\n  u\nObsoleting Packages\n", "\x1b]0;x\a", 100)
	f.Fuzz(func(t *testing.T, out, errs string, status int) {
		for _, m := range []Manager{apt("a"), apk("a"), dnf("a"), yum("a")} {
			updates, err := m.Read(out, errs, status)
			said := Say(updates)
			if err != nil {
				said = err.Error()
			}
			if len(said) > 2000 || strings.ContainsFunc(said, func(r rune) bool { return r < ' ' || r > '~' && r != '…' }) {
				t.Errorf("%s says %q", m.Name, said)
			}
			_ = Digest(updates)
		}
	})
}
