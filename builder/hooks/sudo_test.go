package hooks

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestSudo(t *testing.T) {
	cases := map[string]struct {
		sudoers string
		hook    string
		want    string // in the finding; "" for none
	}{
		"the guide's line":                {"stackato ALL= NOPASSWD: /etc/init.d/newrelic-sysmond", "sudo /etc/init.d/newrelic-sysmond start", ""},
		"another command":                 {"stackato ALL= NOPASSWD: /etc/init.d/newrelic-sysmond", "sudo /usr/sbin/nrsysmond-config", "no sudoers line"},
		"with a password":                 {"stackato ALL= /bin/x", "sudo /bin/x", "ask for a password"},
		"everything":                      {"stackato ALL=(ALL:ALL) NOPASSWD:ALL", "sudo apt-get update", ""},
		"another user's line":             {"bob ALL= NOPASSWD: ALL", "sudo x", "no sudoers line"},
		"everybody's line":                {"ALL ALL= NOPASSWD: ALL", "sudo x", ""},
		"a group":                         {"%wheel ALL= NOPASSWD: ALL", "sudo x", ""},
		"the primary group":               {"%stk ALL= NOPASSWD: ALL", "sudo x", ""},
		"a group of others":               {"%others ALL= NOPASSWD: ALL", "sudo x", "no sudoers line"},
		"a uid":                           {"#1001 ALL= NOPASSWD: ALL", "sudo x", ""},
		"a list":                          {"stackato ALL= NOPASSWD: /bin/a, /bin/b", "sudo /bin/b", ""},
		"a password from the second on":   {"stackato ALL= NOPASSWD: /bin/a, PASSWD: /bin/b", "sudo /bin/b", "ask for a password"},
		"a command taken out":             {"stackato ALL= NOPASSWD: ALL, !/bin/b", "sudo /bin/b", "no sudoers line"},
		"the last line counts":            {"stackato ALL= NOPASSWD: ALL\nstackato ALL= PASSWD: ALL", "sudo /bin/b", "ask for a password"},
		"arguments":                       {"stackato ALL= NOPASSWD: /bin/a start", "sudo /bin/a start", ""},
		"other arguments":                 {"stackato ALL= NOPASSWD: /bin/a start", "sudo /bin/a stop", "no sudoers line"},
		"an argument by pattern":          {"stackato ALL= NOPASSWD: /bin/a --set *", "sudo /bin/a --set b c", ""},
		"no arguments":                    {`stackato ALL= NOPASSWD: /bin/a ""`, "sudo /bin/a b", "no sudoers line"},
		"an unknown argument":             {"stackato ALL= NOPASSWD: /bin/a start", "sudo /bin/a $1", ""},
		"an unknown command":              {"", "sudo $CMD", ""},
		"a name without a path":           {"stackato ALL= NOPASSWD: /usr/sbin/service", "sudo service x start", ""},
		"a folder":                        {"stackato ALL= NOPASSWD: /usr/local/bin/", "sudo /usr/local/bin/x", ""},
		"a pattern":                       {"stackato ALL= NOPASSWD: /etc/init.d/*", "sudo /etc/init.d/x start", ""},
		"aliases":                         {"User_Alias U = stackato, bob\nCmnd_Alias C = /bin/a, /bin/b : D = C\nHost_Alias H = ALL\nU H = NOPASSWD: D", "sudo /bin/b", ""},
		"a continuation":                  {"stackato ALL= NOPASSWD: /bin/a, \\\n  /bin/b", "sudo /bin/b", ""},
		"a comment":                       {"# stackato ALL= NOPASSWD: ALL", "sudo /bin/b", "no sudoers line"},
		"a comment at the end":            {"stackato ALL= NOPASSWD: /bin/b # for b", "sudo /bin/b x", ""},
		"another user to become":          {"stackato ALL=(bob) NOPASSWD: /bin/b", "sudo -u bob /bin/b", ""},
		"not as root":                     {"stackato ALL=(bob) NOPASSWD: /bin/b", "sudo /bin/b", "no sudoers line"},
		"another host":                    {"stackato web1= NOPASSWD: /bin/b", "sudo /bin/b", "no sudoers line"},
		"a second host list":              {"stackato web1= NOPASSWD: /bin/a : ALL = NOPASSWD: /bin/b", "sudo /bin/b", ""},
		"tags and options":                {"stackato ALL= CWD=/tmp NOPASSWD: SETENV: /bin/b", "sudo /bin/b", ""},
		"authentication off":              {"Defaults !authenticate\nstackato ALL= /bin/b", "sudo /bin/b", ""},
		"authentication off for another":  {"Defaults:bob !authenticate\nstackato ALL= /bin/b", "sudo /bin/b", "ask for a password"},
		"a folder of more":                {"#includedir /etc/sudoers.d", "sudo /bin/included", ""},
		"a folder of more, the new way":   {"@includedir /etc/sudoers.d", "sudo /bin/included", ""},
		"a file that sudo passes over":    {"#includedir /etc/sudoers.d", "sudo /bin/dotted", "no sudoers line"},
		"a circle of includes":            {"#include /etc/sudoers", "sudo /bin/b", "no sudoers line"},
		"options, variables and the end":  {"stackato ALL= NOPASSWD: /bin/b", "sudo -n LANG=C -- /bin/b", ""},
		"a shell":                         {"stackato ALL= NOPASSWD: /bin/b", "sudo -i", "/bin/bash"},
		"the user's own shell":            {"stackato ALL= NOPASSWD: /bin/b", "sudo -s", "/bin/sh"},
		"all variables":                   {"stackato ALL= NOPASSWD: /bin/b", "sudo -E /bin/b", "NOPASSWD:SETENV: /bin/b"},
		"a variable":                      {"stackato ALL= NOPASSWD: /bin/b", "sudo A=1 /bin/b", "NOPASSWD:SETENV: /bin/b"},
		"a variable that is kept":         {"Defaults env_keep += \"A B\"\nstackato ALL= NOPASSWD: /bin/b", "sudo A=1 /bin/b", ""},
		"variables with everything":       {"stackato ALL= NOPASSWD: ALL", "sudo -E A=1 /bin/b", ""},
		"a terminal":                      {"Defaults requiretty\nstackato ALL= NOPASSWD: /bin/b", "sudo /bin/b", "Defaults:stackato !requiretty"},
		"no terminal after all":           {"Defaults requiretty\nDefaults:stackato !requiretty\nstackato ALL= NOPASSWD: /bin/b", "sudo /bin/b", ""},
		"a group to take":                 {"stackato ALL= NOPASSWD: /bin/b", "sudo -g wheel /bin/b", "(:wheel) NOPASSWD: /bin/b"},
		"a group that is allowed":         {"stackato ALL=(:wheel) NOPASSWD: /bin/b", "sudo -g wheel /bin/b", ""},
		"a user by number":                {"stackato ALL=(bob) NOPASSWD: /bin/b", "sudo -u '#1002' /bin/b", ""},
		"a user who isn't there":          {"stackato ALL=(ALL) NOPASSWD: /bin/b", "sudo -u eve /bin/b", "whom the image does not have"},
		"a command by the path of a link": {"stackato ALL= NOPASSWD: /sbin/service", "sudo service x", ""},
		"a command that isn't there":      {"stackato ALL= NOPASSWD: ALL", "sudo gone", "which the image does not have"},
		"where sudo looks":                {"Defaults secure_path=\"/opt/bin\"\nstackato ALL= NOPASSWD: /bin/b", "sudo tool", "NOPASSWD: /opt/bin/tool"},
		"a file to edit":                  {"stackato ALL= NOPASSWD: /bin/b", "sudo -e /etc/motd", "sudoedit /etc/motd"},
		"behind a time limit":             {"", "timeout 5 sudo /bin/b", "no sudoers line"},
		"a blank and a comma":             {"", "sudo '/opt/a b,c'", `NOPASSWD: /opt/a\ b\,c`},
		"asking only":                     {"", "sudo -l\nsudo -v\ncommand -v sudo\n", ""},
		"behind exec":                     {"", "exec sudo /bin/b", "no sudoers line"},
		"in a condition":                  {"", "if sudo /bin/b; then :; fi", "no sudoers line"},
		"a digest":                        {"stackato ALL= NOPASSWD: sha224:abc /bin/b", "sudo /bin/b", ""},
		"blanks around the list of users": {"bob , stackato  ALL = NOPASSWD : /bin/b", "sudo /bin/b", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := run(t, fstest.MapFS{
				"etc/stackato/hooks/pre-running": script("#!/bin/sh\n" + c.hook + "\n"),
				"etc/sudoers":                    {Data: []byte("Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n" + c.sudoers + "\n")},
				"etc/sudoers.d/README":           {Data: []byte("#\n")},
				"etc/sudoers.d/fine":             {Data: []byte("stackato ALL= NOPASSWD: /bin/included\n")},
				"etc/sudoers.d/file.bak":         {Data: []byte("stackato ALL= NOPASSWD: /bin/dotted\n")},
				"etc/init.d/newrelic-sysmond":    script(""),
				"etc/init.d/x":                   script(""),
				"usr/sbin/nrsysmond-config":      script(""),
				"usr/sbin/service":               script(""),
				"usr/bin/apt-get":                script(""),
				"usr/local/bin/x":                script(""),
				"sbin":                           {Data: []byte("usr/sbin"), Mode: fs.ModeSymlink | 0o777},
				"opt/bin/tool":                   script(""),
				"opt/a b,c":                      script(""),
				"etc/passwd":                     {Data: []byte("root:x:0:0::/:/bin/bash\nbob:x:1002:1003::/:/bin/sh\nstackato:x:1001:1002::/:/bin/sh\n")},
				"etc/group":                      {Data: []byte("wheel:x:10:bob,stackato\nothers:x:11:bob\nstk:x:1002:\n")},
			})
			if c.want == "" {
				if len(r.Findings) != 0 {
					t.Errorf("findings %v", r.Findings)
				}
				return
			}
			if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].String(), c.want) {
				t.Errorf("findings %v, want one with %q", r.Findings, c.want)
			}
		})
	}
}

// losing is an image that is lost once somebody reads a certain file or folder of it.
type losing struct {
	fstest.MapFS
	at string
}

var errLost = errors.New("buildkitd is gone")

func (l losing) lost(name string) error {
	if name == l.at {
		return &fs.PathError{Op: "read", Path: name, Err: errLost}
	}
	return nil
}

func (l losing) ReadFile(name string) ([]byte, error) {
	if err := l.lost(name); err != nil {
		return nil, err
	}
	return l.MapFS.ReadFile(name)
}

func (l losing) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := l.lost(name); err != nil {
		return nil, err
	}
	return l.MapFS.ReadDir(name)
}

// sooner is an image that is lost when somebody asks what a certain file is.
type sooner struct{ losing }

func (s sooner) Stat(name string) (fs.FileInfo, error) {
	if err := s.lost(name); err != nil {
		return nil, err
	}
	return s.MapFS.Stat(name)
}

func TestAnImageThatIsLostWhileSudoersAreRead(t *testing.T) {
	image := fstest.MapFS{
		"bin/sh": script(""), "etc/passwd": script(""), "etc/group": script(""), "etc/more": script(""), "etc/sudoers.d/x": script(""),
		"etc/sudoers":                    script("#include /etc/more\n#includedir /etc/sudoers.d\n"),
		"etc/stackato/hooks/pre-running": script("#!/bin/sh\nsudo /bin/x\n"),
	}
	for _, at := range []string{"etc/passwd", "etc/group", "etc/sudoers", "etc/more", "etc/sudoers.d", "etc/sudoers.d/x"} {
		for _, lost := range []fs.FS{losing{image, at}, sooner{losing{image, at}}} {
			if r, err := Check(lost, dir, ""); r != nil || !errors.Is(err, errLost) || !strings.Contains(err.Error(), "/"+at) {
				t.Errorf("at /%s of %T: %+v, %v", at, lost, r, err)
			}
		}
	}
}

func TestSudoersThatAreNotThere(t *testing.T) {
	for name, rules := range map[string]string{
		"a file to include":       "#include /etc/none",
		"a folder to include":     "#includedir /etc/none",
		"a folder for a file":     "#include /etc/stackato",
		"a file for a folder":     "#includedir /etc/sudoers",
		"a file on the way":       "#include /etc/sudoers/x",
		"a name that is no path":  "#include /\n#include \xff\n#includedir /\n",
		"a name without anything": "#include\n#includedir\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/bin/sh\nsudo /bin/x\n"), "etc/sudoers": script(rules + "\n")})
			one(t, r, 2, false, "no sudoers line")
		})
	}
}
