package backends_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
)

func TestWhatIsGivenForPlaces(t *testing.T) {
	for name, c := range map[string]struct {
		config backends.Config
		fields []string
		says   string
	}{
		"nothing":                    {backends.Config{}, nil, ""},
		"an unknown kind":            {backends.Config{Kind: "zookeeper"}, []string{backends.FieldKind}, "natskv, kato, confdis, exec"},
		"exec without commands":      {backends.Config{Kind: messages.FenceExec}, []string{"FenceGet", "FenceSet"}, "no commands are given"},
		"exec without the second":    {backends.Config{FenceGet: "a"}, []string{"FenceSet"}, "it is empty"},
		"exec with a shell's line":   {backends.Config{FenceGet: "a | b", FenceSet: "c"}, []string{"FenceGet"}, "takes a shell"},
		"exec":                       {backends.Config{Kind: messages.FenceExec, FenceGet: "a", FenceSet: "b"}, nil, ""},
		"kato":                       {backends.Config{Kind: messages.FenceKato}, nil, ""},
		"confdis":                    {backends.Config{Kind: messages.FenceConfdis}, nil, ""},
		"an address that is none":    {backends.Config{RedisURI: "http://x"}, []string{"RedisURI"}, "redis://"},
		"a password in an address":   {backends.Config{RedisURI: "redis://u:hunter2@x:1"}, []string{"RedisURI", "RedisURIFile"}, "keep it in a file"},
		"the address of Redis twice": {backends.Config{RedisURI: "redis://x:1", RedisURIFile: "/x"}, []string{"RedisURI"}, "twice"},
	} {
		_, err := backends.New(c.config)
		var field *backends.FieldError
		if (err != nil) != (c.fields != nil) || err != nil && (!errors.As(err, &field) || !slices.Equal(field.Fields, c.fields) || !strings.Contains(err.Error(), c.says)) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlaces(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "kato")
	b, err := backends.New(backends.Config{Kind: messages.FenceKato, Kato: missing, FenceGet: "true {fleet}", FenceSet: "true {fleet}"})
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	b.Explain(func(err error) error {
		var field *backends.FieldError
		if errors.As(err, &field) {
			named = field.Fields
		}
		return err
	})
	open := b.Factory(queuetest.Start(t).Client(t))
	for kind, want := range map[string]struct {
		kind          string
		sole, journal bool
	}{
		"": {messages.FenceKato, true, true}, messages.FenceKato: {messages.FenceKato, true, true}, messages.FenceConfdis: {messages.FenceConfdis, true, true},
		messages.FenceExec: {messages.FenceExec, false, true},
	} {
		p, err := open("default", kind)
		if err != nil || p.Kind != want.kind || p.Sole != want.sole || (p.Journal != nil) != want.journal {
			t.Errorf("%q: %+v, %v", kind, p, err)
		}
	}
	if _, err := open("default", "zookeeper"); err == nil || !strings.Contains(err.Error(), `"zookeeper" is no place`) {
		t.Errorf("an unknown place: %v", err)
	}
	p, err := open("default", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Get(t.Context()); err == nil || !slices.Equal(named, []string{"Kato"}) {
		t.Errorf("a missing kato: %v, about %v", err, named)
	}
	for name, c := range map[string]struct {
		config backends.Config
		says   string
	}{
		"natskv": {backends.Config{}, ""}, "kato": {backends.Config{Kind: messages.FenceKato, Kato: missing}, missing},
		"exec":    {backends.Config{Kind: messages.FenceExec, FenceGet: "true", FenceSet: "/nowhere/set"}, "/nowhere/set"},
		"confdis": {backends.Config{Kind: messages.FenceConfdis, RedisURIFile: missing}, missing},
	} {
		b, err := backends.New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		found, err := b.Check(t.Context())
		if found != name || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %s, %v", name, found, err)
		}
	}
}
