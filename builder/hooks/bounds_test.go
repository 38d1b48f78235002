package hooks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

// fill repeats text up to the size of the largest hook.
func fill(before, text string) string {
	return before + strings.Repeat(text, (MaxSize-len(before))/len(text))
}

func TestNestingWithoutEnd(t *testing.T) {
	for _, text := range []string{"(", "$(", "{ ", "((", `"$(`, "$((", "<(", "if ", "while ", "a() ", "${a:-", "$((1+", "time "} {
		r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(fill("#!/bin/bash\n", text))})
		one(t, r, 0, false, "nested too deeply", "inside each other")
	}
	for _, text := range []string{"true && ", "true | ", "if true; then :; fi; ", "(true); "} {
		r := run(t, fstest.MapFS{"etc/stackato/hooks/pre-running": script(fill("#!/bin/bash\n", text))})
		if strings.Contains(fmt.Sprint(r.Findings), "deeply") {
			t.Errorf("%s: %v", text, r.Findings)
		}
	}
}

func TestManyFindings(t *testing.T) {
	image := fstest.MapFS{}
	for i := range 5000 {
		image[fmt.Sprintf("etc/stackato/hooks/stray-%d", i)] = script("")
	}
	for _, name := range Names() {
		image["etc/stackato/hooks/"+name] = script(fill("#!/bin/bash\n", "A_TOKEN=abcdefghijkl sudo x\n"))
	}
	r := run(t, image)
	b, err := json.Marshal(r.Findings)
	if err != nil {
		t.Fatal(err)
	}
	if want := maxStrays + 1 + 3*2*(maxFindings+1); len(r.Findings) != want || len(b) > 100_000 {
		t.Errorf("%d findings of %d bytes, want %d findings", len(r.Findings), len(b), want)
	}
	for _, want := range []string{"4980 more files", "not listed", "runs sudo", "credential", "not the name"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no finding has %q", want)
		}
	}
	if !r.Rejected() || len(r.Warnings()) != 3*(maxFindings+1) {
		t.Errorf("rejected %v, %d warnings", r.Rejected(), len(r.Warnings()))
	}
}

func TestSudoersWithoutEnd(t *testing.T) {
	var doubling strings.Builder
	for i := range 60 {
		fmt.Fprintf(&doubling, "Cmnd_Alias A%d = A%d, A%d\n", i, i+1, i+1)
	}
	const most = "are more than is followed"
	calls := fill("#!/bin/sh\n", "sudo /bin/x a\n")
	for name, c := range map[string]struct {
		rules, hook, want string
		spent             bool // all comparisons
	}{
		"aliases that double":    {doubling.String() + "stackato ALL= NOPASSWD: A0\n", "sudo /bin/x", most, true},
		"many rules":             {strings.Repeat("stackato ALL= NOPASSWD: /bin/x\n", 8000), calls, most, true},
		"long entries":           {strings.Repeat("stackato ALL= NOPASSWD: /bin/x "+strings.Repeat("a ", 8000)+"\n", 15), calls, "no sudoers line", true},
		"long patterns":          {strings.Repeat("stackato ALL= NOPASSWD: /bin/x *"+strings.Repeat("a", 16000)+"b\n", 15), "sudo /bin/x " + strings.Repeat("a", 100_000), most, true},
		"more than is read":      {strings.Repeat("# comment\n", maxBytes/10+1), "sudo /bin/x", most, false},
		"aliases in a circle":    {"Cmnd_Alias A = B : B = A\nstackato ALL= NOPASSWD: A\n", "sudo /bin/x", "no sudoers line", false},
		"users in a circle":      {"User_Alias A = B : B = A\nA ALL= NOPASSWD: ALL\n", "sudo /bin/x", "no sudoers line", false},
		"ordinary ones, no more": {"stackato ALL= NOPASSWD: /bin/x\n", fill("#!/bin/sh\n", "sudo /bin/x\n"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			image := fstest.MapFS{"etc/stackato/hooks/pre-running": script(c.hook + "\n"), "etc/sudoers": script(c.rules), "bin/sh": script(""), "bin/sudo": script(""), "bin/x": script("")}
			built, err := newImage(image, "")
			if err != nil {
				t.Fatal(err)
			}
			r, err := check(image, strings.TrimPrefix(dir, "/"), dir, built)
			if err != nil {
				t.Fatal(err)
			}
			may := built.sudoers
			if refused := -may.steps; refused > 2*maxDepth {
				t.Errorf("%d comparisons were asked for after the last", refused)
			}
			if spent := may.steps < 0; spent != c.spent {
				t.Errorf("all comparisons are spent: %v, want %v", spent, c.spent)
			}
			switch {
			case c.want == "" && len(r.Findings) != 0:
				t.Errorf("findings %v", r.Findings)
			case c.want != "" && (len(r.Findings) == 0 || !strings.Contains(r.Findings[0].String(), c.want)):
				t.Errorf("findings %.300v, want one with %q", r.Findings, c.want)
			}
		})
	}
}
