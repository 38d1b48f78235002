package confdis_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/confdis"
	"github.com/fenceline/fenceline/fence/confdis/redistest"
)

const secret = "hunter2"

// TestWhatRedisRefusesIsSaid: each kind of refusal with its fix, by Check too where it concerns writes, and
// nothing is written.
func TestWhatRedisRefusesIsSaid(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string     // of the document; "" for the usual one
		redis [][]string // what is asked of Redis first
		reads bool       // whether it can still be read
		login string     // in the URI
		says  []string
	}{
		"a replica":                     {redis: [][]string{{"replicaof", "127.0.0.1", "1"}}, reads: true, says: []string{"READONLY", "name the primary node's Redis"}},
		"a full one":                    {redis: [][]string{{"config", "set", "maxmemory", "1"}}, reads: true, says: []string{"OOM", "is full", "maxmemory"}},
		"one without enough replicas":   {redis: [][]string{{"config", "set", "min-replicas-to-write", "1"}}, reads: true, says: []string{"NOREPLICAS", "min-replicas-to-write"}},
		"a key of another type":         {redis: [][]string{{"del", "fence"}, {"lpush", "fence", "a"}}, says: []string{"WRONGTYPE", "redis-cli type fence"}},
		"no document":                   {redis: [][]string{{"del", "fence"}}, says: []string{"has no document of component fence", "kato config set fence docker/image"}},
		"another database":              {login: "?db=1", says: []string{"database 1", "has no document"}},
		"no such database":              {login: "?db=99", says: []string{"no such database"}},
		"no JSON":                       {text: `{"docker":`, says: []string{"not JSON", "backup"}},
		"a list key that holds no list": {text: `{"docker":{"images":"a"}}`, says: []string{"docker/images holds a string, not a list", "kato config set -j"}},
		"both keys":                     {text: `{"docker":{"images":["a"],"image":"b"}}`, says: []string{"both docker/image and docker/images"}},
		"a password that is missing":    {redis: [][]string{{"config", "set", "requirepass", secret}}, says: []string{"NOAUTH", "redis://:PASSWORD@"}},
		"a password that is wrong":      {redis: [][]string{{"config", "set", "requirepass", "other"}}, login: secret, says: []string{"WRONGPASS", "right ones into the URI"}},
		"a user who may read alone": {redis: [][]string{{"acl", "setuser", "reader", "on", ">" + secret, "+get", "+watch", "+unwatch", "+multi", "+exec", "+discard", "~fence"}},
			login: "reader:" + secret, reads: true, says: []string{"NOPERM", "+publish"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			text := tc.text
			if text == "" {
				text = before + "app:1" + behind
			}
			server.Put(t, "fence", text)
			uri := server.URI()
			if strings.HasPrefix(tc.login, "?") {
				uri += tc.login
			} else if tc.login != "" {
				uri = strings.Replace(uri, "unix://", "unix://"+strings.Repeat(":", 1-min(1, strings.Count(tc.login, ":")))+tc.login+"@", 1)
			}
			b := open(t, uri)
			var now fence.Setting
			if tc.reads {
				var err error
				now, err = open(t, server.URI()).Get(within(t))
				must(t, err)
			}
			for _, words := range tc.redis {
				server.Do(t, words...)
			}
			was, _ := server.CLI("", "get", "fence")
			checkRefused(t, b, now.Revision, tc.reads, tc.says)
			if is, _ := server.CLI("", "get", "fence"); is != was {
				t.Errorf("the document was %s and is %s", was, is)
			}
		})
	}
}

func checkRefused(t *testing.T, b *confdis.Store, revision fence.Revision, reads bool, says []string) {
	t.Helper()
	_, get := b.Get(within(t))
	_, set := b.Set(within(t), "app:2", revision)
	for what, err := range map[string]error{"reading": get, "setting": set, "checking": b.Check(within(t))} {
		if reads && what == "reading" {
			if err != nil {
				t.Errorf("reading: %v", err)
			}
			continue
		}
		if err == nil || errors.Is(err, fence.ErrConflict) {
			t.Errorf("%s gave %v", what, err)
			continue
		}
		for _, word := range append(says, what+" the fence config", "Redis at ") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v does not say %q", what, err, word)
			}
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s shows a secret: %v", what, err)
		}
	}
}

func TestCheckChangesNothing(t *testing.T) {
	server := redistest.Start(t)
	text := before + "app:1" + behind
	server.Put(t, "fence", text)
	b := open(t, server.URI())
	for range 3 {
		must(t, b.Check(within(t)))
	}
	if got := server.Do(t, "get", "fence"); got != text {
		t.Errorf("the document is %s", got)
	}
	s, err := b.Get(within(t))
	must(t, err)
	if _, err := b.Set(within(t), "app:2", s.Revision); err != nil { // on the connection of the check
		t.Error(err)
	}
}

// TestOldRedis: Stackato's Redis knows neither HELLO nor users.
func TestOldRedis(t *testing.T) {
	server := redistest.Start(t, "--rename-command", "HELLO", "", "--rename-command", "CLIENT", "", "--requirepass", secret)
	server.Do(t, "-a", secret, "--no-auth-warning", "set", "fence", before+"app:1"+behind)
	b := open(t, strings.Replace(server.URI(), "unix://", "unix://:"+secret+"@", 1))
	must(t, b.Check(within(t)))
	s, err := b.Get(within(t))
	must(t, err)
	if s, err = b.Set(within(t), "app:2", s.Revision); err != nil || s.Value != "app:2" {
		t.Errorf("setting gives %+v, %v", s, err)
	}
	wrong := open(t, strings.Replace(server.URI(), "unix://", "unix://:"+secret+"x@", 1))
	if err := wrong.Check(within(t)); err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "right one") {
		t.Errorf("with another password it gives %v", err)
	}
}

func TestAddress(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "redis_uri")
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for name, tc := range map[string]struct {
		config confdis.Config
		field  string
		says   []string
	}{
		"twice":               {confdis.Config{RedisURI: "redis://h", RedisURIFile: "f"}, confdis.FieldURI, []string{"twice"}},
		"without a scheme":    {confdis.Config{RedisURI: "core:7474"}, confdis.FieldURI, []string{"redis://HOST:PORT/DATABASE"}},
		"of another kind":     {confdis.Config{RedisURI: "http://:" + secret + "@core"}, confdis.FieldURI, []string{"scheme"}},
		"a port that is none": {confdis.Config{RedisURI: "redis://:" + secret + "@core:port/0"}, confdis.FieldURI, []string{"port"}},
		"a password's sign":   {confdis.Config{RedisURI: "redis://:" + secret + "%zz@core/0"}, confdis.FieldURI, []string{"can't be read"}},
		"a database's name":   {confdis.Config{RedisURI: "redis://:" + secret + "@core/" + secret}, confdis.FieldURI, []string{"invalid database number"}},
		"an unknown option":   {confdis.Config{RedisURI: "redis://core/0?" + secret + "=1"}, confdis.FieldURI, []string{"unexpected option"}},
		"no file":             {confdis.Config{RedisURIFile: "/nowhere/redis_uri"}, confdis.FieldURIFile, []string{"/nowhere/redis_uri", "/s/etc/kato/redis_uri"}},
		"a folder":            {confdis.Config{RedisURIFile: t.TempDir()}, confdis.FieldURIFile, []string{"is a directory"}},
		"an empty file":       {confdis.Config{RedisURIFile: file(" \n")}, confdis.FieldURIFile, []string{"is empty", "redis://127.0.0.1:7474/0"}},
		"two lines":           {confdis.Config{RedisURIFile: file("redis://:" + secret + "@a/0\nredis://b/0\n")}, confdis.FieldURIFile, []string{"more than one line"}},
		"a long file":         {confdis.Config{RedisURIFile: file("redis://" + strings.Repeat("a", 5000))}, confdis.FieldURIFile, []string{"4096 bytes"}},
		"a byte order mark":   {confdis.Config{RedisURIFile: file("\ufeffredis://:" + secret + "@a/0")}, confdis.FieldURIFile, []string{"can't be read"}},
		"quotes":              {confdis.Config{RedisURIFile: file(`"redis://:` + secret + `@a/0"`)}, confdis.FieldURIFile, []string{"can't be read"}},
		"no authority":        {confdis.Config{RedisURI: "rediss://core:1", RedisCAFile: "/nowhere/ca.pem"}, confdis.FieldCAFile, []string{"/nowhere/ca.pem"}},
		"an authority's key":  {confdis.Config{RedisURI: "rediss://core:1", RedisCAFile: file(secret)}, confdis.FieldCAFile, []string{"no certificate"}},
		"no key":              {confdis.Config{RedisURI: "rediss://core:1", RedisCertFile: "c"}, confdis.FieldKeyFile, []string{"give both"}},
		"no certificate":      {confdis.Config{RedisURI: "rediss://core:1", RedisKeyFile: "c"}, confdis.FieldCertFile, []string{"give both"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := confdis.New(tc.config)
			if err == nil {
				_, err = s.Get(within(t))
			}
			var field *confdis.FieldError
			if !errors.As(err, &field) || field.Field != tc.field {
				t.Fatalf("%v names not field %s", err, tc.field)
			}
			for _, word := range tc.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("it shows a secret: %v", err)
			}
		})
	}
}

// TestFileMoves: another primary node is followed by the file that names it, and another password.
func TestFileMoves(t *testing.T) {
	first, second := redistest.Start(t), redistest.Start(t)
	first.Put(t, "fence", `{"docker":{"image":"app:1"}}`)
	second.Put(t, "fence", `{"docker":{"image":"app:2"}}`)
	path := filepath.Join(t.TempDir(), "redis_uri")
	b, err := confdis.New(confdis.Config{RedisURIFile: path})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	holds := func(uri, want string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(uri+"\n"), 0o600))
		if s, err := b.Get(within(t)); err != nil || s.Value != want {
			t.Errorf("with another address it reads %+v, %v", s, err)
		}
	}
	holds(first.URI(), "app:1")
	must(t, first.Kill())
	holds(second.URI(), "app:2")
	second.Do(t, "config", "set", "requirepass", secret)
	holds(strings.Replace(second.URI(), "unix://", "unix://:"+secret+"@", 1), "app:2")
}

// TestRedisComesBack: whatever number of calls failed meanwhile, the first after it succeeds.
func TestRedisComesBack(t *testing.T) {
	server := redistest.Start(t)
	server.Put(t, "fence", before+"app:1"+behind)
	b := open(t, server.URI())
	first, err := b.Get(within(t))
	must(t, err)
	must(t, server.Kill())
	for range 50 {
		if _, err := b.Get(within(t)); err == nil || !strings.Contains(err.Error(), "can't be reached") {
			t.Fatalf("without Redis it gives %v", err)
		}
	}
	must(t, server.Start())
	ctx, cancel := context.WithTimeout(t.Context(), 30e9)
	defer cancel()
	for {
		s, err := b.Set(ctx, "app:2", first.Revision)
		if err == nil && s.Value == "app:2" {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("it is back, and setting gives %v", err)
		}
	}
}
