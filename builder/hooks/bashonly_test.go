package hooks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestWhatIsForBashAlone(t *testing.T) {
	for _, line := range []string{
		"if [[ -n $A ]]; then :; fi", "(( A > 1 ))", "let n=n+1", "source /etc/profile", "set -o pipefail", "set -euo pipefail", "for i in {1..3}; do :; done", "echo {a,b}",
		"function note { :; }", "note &> /tmp/x", "note &>> /tmp/x", "note >& /tmp/x", "cat <<< x", "echo ${A^^}", "echo ${A:1:2}", "echo ${A/x/y}", "echo ${!A}", "a=(1 2)", "a+=x",
		"a[1]=x", "echo ${a[0]}", "diff <(a) <(b)", "for ((i = 0; i < 3; i++)); do :; done", "select x in a b; do :; done", "a |& b", "echo $'x'", "declare -r A=1", "typeset A=1",
		"export -n A", "[ a == b ]", "test a == b", "read -a A </etc/x", "printf -v A x", "trap : ERR", "shopt -s nullglob", "pushd /tmp", "mapfile -t A </etc/x", "n=$((n++))", "n=$((2 ** 3))",
		"case x in x) : ;& y) : ;; esac", "coproc cat", "echo @(a|b)", "exec {fd}>/tmp/x", "builtin cd /",
	} {
		t.Run(line, func(t *testing.T) {
			hook := "#!/bin/sh\n:\n" + line + "\n"
			image := fstest.MapFS{"etc/stackato/hooks/pre-running": script(hook), "bin/sh": script("dash")}
			r, err := Check(image, dir, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Findings) == 0 || !r.Rejected() {
				t.Fatalf("findings %v", r.Findings)
			}
			for _, f := range r.Findings {
				if f.Line != 3 || !strings.Contains(f.Problem, "bash only") || !strings.Contains(f.Fix, "install bash") {
					t.Errorf("finding %v", f)
				}
			}
			for name, bash := range map[string]fstest.MapFS{
				"a link to bash": {"bin/sh": {Data: []byte("bash"), Mode: 0o777 | 1<<27}, "bin/bash": script("")},
				"bash itself":    {"bin/sh": script("\x7fELF GNU bash, version 5")},
			} {
				bash["etc/stackato/hooks/pre-running"] = script(hook)
				if r, err := Check(bash, dir, ""); err != nil || r.Rejected() || len(r.Findings) == 0 {
					t.Errorf("where sh is %s: %v, %v", name, r, err)
				}
			}
		})
	}
}

func TestEachBashismIsFound(t *testing.T) {
	r := run(t, fstest.MapFS{"etc/stackato/hooks/post-staging": script("#!/bin/sh\nfunction note { echo \"$1\"; }\nnote start &> /tmp/note\nfor i in {1..3}; do let n=n+1; done\necho ${APP_NAME^^} <<< x\n")})
	var at []string
	for _, f := range r.Findings {
		at = append(at, fmt.Sprint(f.Line))
	}
	if want := []string{"2", "3", "4", "4", "5", "5"}; !slices.Equal(at, want) {
		t.Errorf("findings in lines %v, want %v: %v", at, want, r.Findings)
	}
}

func TestWhatShHasToo(t *testing.T) {
	r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(`#!/bin/sh
set -eu
f() { local a=1 b; }
export A=1; readonly B=2; export -p
. /etc/profile
n=$((n + 1)); n=$((n > 1 ? 2 : 3))
[ "$A" = b ] && [ -n "${A:-x}" ] && echo "${A#x}" "${A%%y}" "${#A}" >&2 2>&1 >/dev/null </dev/null
case $A in a*|[!b]) : ;; esac
for i in a b; do :; done
x=$(echo {} a{b} {a} "{1..3}")
cat <<EOF
[[ not a command ]] {1..3}
EOF
trap : EXIT INT
read -r line </etc/x
printf '%s\n' "$x"
exec 3>/tmp/x
`)})
	if len(r.Findings) != 0 {
		t.Errorf("findings %v", r.Findings)
	}
}

func TestAScriptThatAsksForItsShell(t *testing.T) {
	r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script("#!/bin/sh\nif [ -n \"$BASH_VERSION\" ]; then source /etc/x; fi\n")})
	one(t, r, 2, true, "source")
}
