package hooks

import (
	"testing"
	"testing/fstest"
)

func TestWhatNeedsAPerson(t *testing.T) {
	for line, fix := range map[string]string{
		"apt-get install curl":                               "-y",
		"apt-get update && apt-get -q install curl":          "-y",
		"sudo apt-get dist-upgrade":                          "-y",
		"DEBIAN_FRONTEND=noninteractive apt-get upgrade":     "-y",
		"env DEBIAN_FRONTEND=noninteractive apt install x":   "-y",
		"apt-get install --no-install-recommends x":          "-y",
		"apt-get install x </dev/null":                       "-y",
		"if true; then yum install x; fi":                    "-y",
		"f() { dnf update; }; f":                             "-y",
		"add-apt-repository ppa:x/y":                         "-y",
		"dpkg-reconfigure tzdata":                            "noninteractive",
		"zypper install x":                                   "--non-interactive",
		"pacman -S x":                                        "--noconfirm",
		"out=$(apt-get remove x)":                            "-y",
		"apt-get -o Dpkg::Options::=--force-confdef upgrade": "-y",
	} {
		t.Run(line, func(t *testing.T) {
			hook := "#!/bin/sh\n" + line + "\n"
			r := run(t, fstest.MapFS{
				"etc/stackato/hooks/pre-running": script(hook), "etc/sudoers": {Data: []byte("stackato ALL= NOPASSWD: ALL\n")}, "bin/apt-get": script(""),
			})
			one(t, r, 2, false, "nobody is there to answer", fix)
		})
	}
	for _, line := range []string{
		"apt-get install -y curl", "apt-get -y install curl", "apt-get -qy install curl", "apt-get -qq install curl", "apt-get update", "apt-get clean", "apt-get --assume-yes install x",
		"apt-get $FLAGS install x", "yes | apt-get install x", "apt-get install x <<EOF\ny\nEOF\n", "apt-get -o APT::Get::Assume-Yes=true install x", "apt-get install -dy x", "apt-cache search install",
		"yum -y install x", "dpkg-reconfigure -f noninteractive tzdata", "DEBIAN_FRONTEND=noninteractive dpkg-reconfigure x", "dpkg-reconfigure -fnoninteractive x", "add-apt-repository -y ppa:x/y",
		"command -v apt-get", "echo apt-get install x", "zypper -n install x", "pacman -S --noconfirm x", "pacman -Q", "echo a | while read -r x; do :; done", "while read -r x; do :; done </etc/x", "read -t 1 x",
		"f() { read -r x; }; f </etc/x",
	} {
		t.Run(line, func(t *testing.T) {
			if r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/bin/bash\n" + line + "\n")}); len(r.Findings) != 0 {
				t.Errorf("findings %v", r.Findings)
			}
		})
	}
	one(t, run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/bin/sh\nread -r answer\n")}), 2, true, "terminal")
}

func TestAnImageMayAnswerForAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		file, content string
		asks          bool
	}{
		"apt":                 {"etc/apt/apt.conf.d/90yes", "APT::Get::Assume-Yes \"true\";\n", false},
		"apt, in blocks":      {"etc/apt/apt.conf", "apt { get { assume-yes true; } }\n", false},
		"dnf":                 {"etc/dnf/dnf.conf", "[main]\nassumeyes = True\n", false},
		"apt, the other way":  {"etc/apt/apt.conf.d/90", "APT::Get::Assume-Yes \"false\";\n", true},
		"apt, in a comment":   {"etc/apt/apt.conf.d/90", "// APT::Get::Assume-Yes \"true\";\n", true},
		"apt, something else": {"etc/apt/apt.conf.d/docker-clean", "Dir::Cache::pkgcache \"\";\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, fstest.MapFS{
				"etc/stackato/hooks/pre-running": script("#!/bin/sh\nsudo apt-get install x\n"), "bin/apt-get": script(""),
				"etc/sudoers": {Data: []byte("stackato ALL= NOPASSWD: ALL\n")}, c.file: {Data: []byte(c.content)},
			})
			if c.asks {
				one(t, r, 2, false, "nobody is there to answer", "-y")
			} else if len(r.Findings) != 0 {
				t.Errorf("findings %v", r.Findings)
			}
		})
	}
}
