package kato_test

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/fenceline/fenceline/fence/kato"
	"github.com/fenceline/fenceline/fence/kato/katotest"
)

// other is a user of every Debian that is not the one who runs this.
const other = "daemon"

// TestKatoRunsAsAnotherUser: with that one's groups and login, and none of this process's environment.
func TestKatoRunsAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("only root can run kato as another user: run the tests as root, as in a container")
	}
	t.Setenv("OTHER", "x")
	u, err := user.Lookup(other)
	if err != nil {
		t.Fatal(err)
	}
	k := katotest.New(t, fresh)
	k.Fails(`"$real" "$@"; test "$2" = set || { id -un; id -Gn; env; } >&2; test "$2" = get || exit 9; exit 1`)
	_, err = kato.New(kato.Config{Program: k.Program, LockFile: k.LockFile(), User: other}).Get(t.Context())
	if err == nil {
		t.Fatal("it did not fail as it was told to")
	}
	said := strings.Fields(err.Error()[strings.Index(err.Error(), "exit status 1: ")+len("exit status 1: "):])
	if said[0] != other || said[1] != other {
		t.Errorf("it ran as %s with the groups %s", said[0], said[1])
	}
	for _, want := range []string{"HOME=" + u.HomeDir, "USER=" + other, "LOGNAME=" + other} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "OTHER=x") {
		t.Errorf("it has this process's environment: %v", err)
	}
	k.Fails("")
	if got, err := kato.New(kato.Config{Program: k.Program, LockFile: k.LockFile(), User: other}).Get(t.Context()); err != nil || got.Value != "stackato/stack/alsek" {
		t.Errorf("read %+v, error %v", got, err)
	}
}

func TestAUserThatCantBeHadIsExplained(t *testing.T) {
	k := katotest.New(t, fresh)
	_, err := kato.New(kato.Config{Program: k.Program, LockFile: k.LockFile(), User: "no-such-user"}).Get(t.Context())
	if err == nil || !strings.Contains(err.Error(), `no user "no-such-user"`) {
		t.Errorf("error %v", err)
	}
	k.Fails("no such program")
	b := kato.New(kato.Config{Program: "no-such-kato", LockFile: k.LockFile(), User: "root"})
	if _, err = b.Get(t.Context()); err == nil || !strings.Contains(err.Error(), "give the whole path of kato") {
		t.Errorf("error %v", err)
	}
}

// TestOnlyRootRunsKatoAsAnotherUser: this test runs itself as a user without rights.
func TestOnlyRootRunsKatoAsAnotherUser(t *testing.T) {
	const inside = "FENCELINE_TEST_PROGRAM"
	if program := os.Getenv(inside); program != "" {
		_, err := kato.New(kato.Config{Program: program, User: "root"}).Get(t.Context())
		if err == nil || !strings.Contains(err.Error(), "only root can run kato as root") {
			t.Errorf("as root: %v", err)
		}
		if _, err := kato.New(kato.Config{Program: program, User: other}).Get(t.Context()); err != nil {
			t.Errorf("as itself, with a login: %v", err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Fatal("this test begins as root: run the tests as root, as in a container")
	}
	k := katotest.New(t, fresh)
	u, err := user.Lookup(other)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	program := k.Keep(os.Args[0])
	cmd := exec.Command(program, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+k.Program)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Fatalf("as %s: %v\n%s", other, err, out)
	}
}
