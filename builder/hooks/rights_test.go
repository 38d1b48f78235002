package hooks

import (
	"io/fs"
	"testing"
	"testing/fstest"
)

// owned is what a file of an image says of its owner.
type owned struct{ uid, gid uint32 }

func (o owned) GetUid() uint32 { return o.uid } //nolint:revive // the name is BuildKit's
func (o owned) GetGid() uint32 { return o.gid }

func TestRightsOfWhoRunsTheHooks(t *testing.T) {
	const users = "root:x:0:0::/:/bin/sh\nstackato:x:1000:1001::/:/bin/sh\n"
	folder := func(mode fs.FileMode, o owned) *fstest.MapFile {
		return &fstest.MapFile{Mode: mode | fs.ModeDir, Sys: o}
	}
	hook := func(mode fs.FileMode, o owned) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("#!/bin/sh\n:\n"), Mode: mode, Sys: o}
	}
	for name, c := range map[string]struct {
		more fstest.MapFS
		user string
		want []string // in the one finding; none: there is none
	}{
		"root's alone":                   {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o700, owned{})}, "", []string{"pre-running", "by stackato", "mode 0700", "--chmod=755"}},
		"no right to read":               {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o711, owned{})}, "", []string{"read and executed by stackato"}},
		"the user's own":                 {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o500, owned{1000, 0})}, "", nil},
		"its own, without an x":          {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o655, owned{1000, 0})}, "", []string{"by stackato"}},
		"the primary group's":            {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 1001})}, "", nil},
		"another group's":                {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 50}), "etc/group": {Data: []byte("wheel:x:50:stackato\n")}}, "", nil},
		"a group of others":              {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 51}), "etc/group": {Data: []byte("wheel:x:51:bob\n")}}, "", []string{"by stackato"}},
		"a closed folder":                {fstest.MapFS{"etc/stackato": folder(0o700, owned{}), "etc/stackato/hooks/pre-staging": hook(0o755, owned{})}, "", []string{"/etc/stackato: can't be entered", "chmod 755 /etc/stackato "}},
		"the hooks folder":               {fstest.MapFS{"etc/stackato/hooks": folder(0o644, owned{})}, "", []string{"/etc/stackato/hooks: can't be entered"}},
		"a link into a closed folder":    {fstest.MapFS{"etc/stackato/hooks/pre-running": {Data: []byte("../../../opt/h"), Mode: fs.ModeSymlink | 0o777}, "opt/h": hook(0o755, owned{}), "opt": folder(0o750, owned{})}, "", []string{"/opt: can't be entered"}},
		"a shell in a closed folder":     {fstest.MapFS{"bin": folder(0o750, owned{})}, "", []string{"/bin: can't be entered"}},
		"a shell that may not be run":    {fstest.MapFS{"bin/sh": hook(0o750, owned{})}, "", []string{"/bin/sh, which stackato may not execute"}},
		"another user":                   {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o500, owned{1000, 0}), "etc/passwd": {Data: []byte(users + "app:x:7:7::/:/bin/sh\n")}}, "app", []string{"by app"}},
		"a group of no name":             {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 2000})}, "stackato:2000", nil},
		"not in the primary group":       {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 1001})}, "stackato:2000", []string{"by stackato"}},
		"a group by its name":            {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 50}), "etc/group": {Data: []byte("wheel:x:50:\n")}}, "stackato:wheel", nil},
		"a group by its number":          {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o750, owned{0, 50}), "etc/group": {Data: []byte("wheel:x:50:\n")}}, "stackato:50", nil},
		"root, in an image without user": {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o100, owned{9, 9}), "etc/passwd": {}}, "", nil},
		"root, without any x":            {fstest.MapFS{"etc/stackato/hooks/pre-running": hook(0o644, owned{}), "etc/passwd": {}}, "", []string{"is not executable"}},
	} {
		t.Run(name, func(t *testing.T) {
			image := fstest.MapFS{"bin/sh": script("x"), "etc/passwd": {Data: []byte(users)}, "etc/stackato/hooks/pre-running": hook(0o755, owned{})}
			for at, file := range c.more {
				image[at] = file
			}
			r, err := Check(image, dir, c.user)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if len(r.Findings) != 0 {
					t.Errorf("findings %v", r.Findings)
				}
				return
			}
			line := 0
			if len(r.Findings) == 1 {
				line = r.Findings[0].Line
			}
			one(t, r, line, false, c.want...)
		})
	}
}
