package hooks

import (
	"strings"
	"testing"
	"testing/fstest"
)

// lines are lines of hooks, by the shebangs that they make sense with.
var (
	bashAndSh = []string{"#!/bin/bash", "#!/bin/sh"}
	bashAlone = []string{"#!/bin/bash"}
)

func TestWaysToSetAVariable(t *testing.T) {
	for _, c := range []struct {
		shebangs []string
		lines    []string
	}{
		{bashAndSh, []string{
			"A=1", "export A=1", "export B=2 A=1", "readonly A=1", `export "A=1"`, `export A="$x"`, "export A='1 2'", "command export A=1",
			"read A </etc/x", "read -r A </etc/x", "for A in 1; do :; done", ": ${A:=1}", "f() { A=1; }", "f() { local A=1; }", ": $((A = 1))",
			"while read -r line; do\nexport \"$line\"\ndone < /etc/environment", `export "$name=1"`, "export $(cat /etc/environment)", "read -r \"$name\" </etc/x",
			". /etc/profile", "command . /etc/profile", `eval "$x"`, `command eval "$x"`,
		}},
		{bashAlone, []string{
			"printf -v A x", `printf -v "$name" x`, "A+=x", "(( A = 1 ))", "A=(1 2)", "declare -x A=1", `declare -x "A=1"`, "typeset A=1", `builtin export "A=1"`,
			"source /etc/profile", "builtin source /etc/profile",
		}},
	} {
		for _, shebang := range c.shebangs {
			for _, line := range c.lines {
				t.Run(shebang+" "+line, func(t *testing.T) {
					for _, list := range []string{"export STACKATO_HOOK_ENV=A,$MORE", "STACKATO_HOOK_ENV=A\nexport STACKATO_HOOK_ENV"} {
						r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(shebang + "\n" + line + "\n" + list + "\n")})
						if len(r.Findings) != 0 {
							t.Errorf("findings %v", r.Findings)
						}
					}
				})
			}
		}
	}
}

func TestAListedVariableThatIsNeverSet(t *testing.T) {
	for _, c := range []struct {
		shebangs []string
		lines    []string
	}{
		{bashAndSh, []string{
			"STACKATO_HOOK_ENV=NEVER", "export STACKATO_HOOK_ENV=NEVER", `export "STACKATO_HOOK_ENV=NEVER"`, "export STACKATO_HOOK_ENV='NEVER'",
			"command export STACKATO_HOOK_ENV=NEVER", "readonly B=1 STACKATO_HOOK_ENV=B,NEVER", "export NEVER STACKATO_HOOK_ENV=NEVER",
			"export B=NEVER=1 STACKATO_HOOK_ENV=NEVER", `read -r "$prompt" B </etc/x; export STACKATO_HOOK_ENV=NEVER`,
			`command -v source && export STACKATO_HOOK_ENV=NEVER`, `printf "%s" "$x"; export STACKATO_HOOK_ENV=NEVER`, `echo "$(export STACKATO_HOOK_ENV=NEVER)"`,
		}},
		{bashAlone, []string{"declare -x STACKATO_HOOK_ENV=NEVER", `declare -x "STACKATO_HOOK_ENV=NEVER"`, `builtin export "STACKATO_HOOK_ENV=NEVER"`}},
	} {
		for _, shebang := range c.shebangs {
			for _, line := range c.lines {
				t.Run(shebang+" "+line, func(t *testing.T) {
					r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(shebang + "\n:\n" + line + "\n")})
					one(t, r, 3, false, "lists NEVER", "never sets")
				})
			}
		}
	}
	t.Run("with a blank in the list", func(t *testing.T) {
		r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(strings.Join([]string{"#!/bin/sh", "A=1 B=2", "export STACKATO_HOOK_ENV='A, B'", ""}, "\n"))})
		one(t, r, 3, false, `" B"`, "commas alone")
	})
}
