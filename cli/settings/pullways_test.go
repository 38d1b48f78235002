package settings

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/spf13/pflag"
)

func TestHowANodeFetches(t *testing.T) {
	parse := func(args ...string) (*messages.Pull, error) {
		var p PullWay
		fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
		p.Add(fs)
		err := fs.Parse(args)
		return p.Way(), err
	}
	if p, err := parse(); err != nil || p != nil {
		t.Errorf("nothing asked for: %+v, error %v", p, err)
	}
	if p, err := parse("--pull", "load"); err != nil || p.Way != messages.PullLoad || p.Validate() != nil {
		t.Errorf("load: %+v, error %v", p, err)
	}
	p, err := parse("--mirror", "http://a:5000,http://b:5000", "--mirror", "https://c/proxy", "--mirror-time-limit", "3s")
	if err != nil || p.Way != messages.PullMirrors || len(p.Mirrors) != 3 || p.Mirrors[2].URL != "https://c/proxy" || p.Validate() != nil ||
		p.Mirrors[0].Limit() != 3*time.Second || p.Mirrors[0].Rest() != messages.DefaultBackOff {
		t.Errorf("mirrors: %+v, error %v", p, err)
	}
	for _, bad := range [][]string{{"--pull=mirror"}, {"--mirror=a:5000"}, {"--mirror=http://u:secret@a"}, {"--pull=load", "--mirror=http://a"}, {"--mirror-time-limit=3s"}, {"--mirror-back-off=3s"}} {
		p, err := parse(bad...)
		if err != nil || p == nil {
			t.Fatalf("%s: %+v, error %v", bad, p, err)
		}
		if err := p.Validate(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want one that tells no secret", bad, err)
		}
	}
}

func TestLimitsOfNoMirrorAreRefused(t *testing.T) {
	for line, bad := range map[string]bool{
		"--pull=load --mirror-time-limit=3s": true, "--pull=engine --mirror-back-off=3s": true,
		"--pull=load": false, "--pull=mirrors --mirror=http://a --mirror-time-limit=3s": false, "--mirror=http://a --mirror-back-off=3s": false, "": false,
	} {
		var p PullWay
		fs := pflag.NewFlagSet("x", pflag.ContinueOnError)
		p.Add(fs)
		if err := fs.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		if err := p.Check(); (err != nil) != bad || err != nil && !strings.Contains(err.Error(), "leave them out") {
			t.Errorf("%q: error %v", line, err)
		}
	}
}
