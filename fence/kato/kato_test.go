package kato_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/fenceline/fenceline/fence"
	"github.com/fenceline/fenceline/fence/fencetest"
	"github.com/fenceline/fenceline/fence/kato"
	"github.com/fenceline/fenceline/fence/kato/katotest"
)

func on(c *katotest.Cluster) *kato.Kato {
	return kato.New(kato.Config{Program: c.Program, LockFile: c.LockFile(), Limit: time.Minute})
}

// store is a cluster for the conformance suite.
func store(c *katotest.Cluster, set, unset []string, value func(string) string) fencetest.Store {
	back := func() { c.Fails("") }
	return fencetest.Store{
		Open: func() fence.Backend { return on(c) },
		Stranger: func(image string) {
			if image == "" {
				c.Run(unset...)
				return
			}
			c.Run(append(set, value(image))...)
		},
		Away: func() func() {
			c.Fails(`echo "ERROR: Connection refused - Unable to connect to Redis on 10.0.0.1:7474" >&2; exit 1`)
			return back
		},
		Stall: func() func() {
			c.Fails("exec sleep 600")
			return back
		},
		LoseAnswer: func() func() {
			c.Fails(`"$real" "$@" || exit; test "$2" != set`)
			return back
		},
	}
}

func TestConformanceOfAString(t *testing.T) {
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		c := katotest.New(t, `{"docker": {"registry": "x"}, "uid": 1}`)
		return store(c, []string{"config", "set", "fence", "docker/image"}, []string{"config", "del", "fence", "docker/image"},
			func(image string) string { return image })
	})
}

func TestConformanceOfAList(t *testing.T) {
	fencetest.Run(t, func(t *testing.T) fencetest.Store {
		c := katotest.New(t, `{"docker": {"images": []}}`)
		return store(c, []string{"config", "set", "fence", "docker/images"}, []string{"config", "set", "-j", "fence", "docker/images", "[]"},
			func(image string) string { return `["` + image + `","stackato/stack-alsek"]` })
	})
}

func set(t *testing.T, b *kato.Kato, image string) {
	t.Helper()
	now, err := b.Get(t.Context())
	if err == nil {
		_, err = b.Set(t.Context(), image, now.Revision)
	}
	if err != nil {
		t.Fatalf("setting %s: %v", image, err)
	}
}

// TestTheKeyIsFoundOutAgainWhenItChanges: an upgrade to 3.4 and back, and the lists under the old key that
// came before it.
func TestTheKeyIsFoundOutAgainWhenItChanges(t *testing.T) {
	c := katotest.New(t, `{"docker": {"image": "stackato/stack/alsek"}}`)
	b := on(c)
	set(t, b, "exampleco/newimg:1")
	if got := c.Docker(); !reflect.DeepEqual(got, map[string]any{"image": "exampleco/newimg:1"}) {
		t.Fatalf("as a string: %v", got)
	}
	c.Run("config", "del", "fence", "docker/image")
	c.Run("config", "set", "fence", "docker/images", `["stackato/stack-alsek","stackato/stack/alsek"]`)
	set(t, b, "exampleco/newimg:2")
	if got := c.Docker(); !reflect.DeepEqual(got, map[string]any{"images": []any{"exampleco/newimg:2", "stackato/stack-alsek", "stackato/stack/alsek"}}) {
		t.Fatalf("as a list: %v", got)
	}
	c.Run("config", "del", "fence", "docker/images")
	c.Run("config", "set", "fence", "docker/image", `["stackato/stack-alsek"]`)
	set(t, b, "exampleco/newimg:3")
	if got := c.Docker(); !reflect.DeepEqual(got, map[string]any{"image": []any{"exampleco/newimg:3", "stackato/stack-alsek"}}) {
		t.Fatalf("as a list under the old key: %v", got)
	}
	c.Run("config", "set", "--force", "fence", "docker/image", "stackato/stack/alsek")
	set(t, b, "exampleco/newimg:4")
	if got := c.Docker(); !reflect.DeepEqual(got, map[string]any{"image": "exampleco/newimg:4"}) {
		t.Fatalf("as a string again: %v", got)
	}
}

// TestWarningsAreNormal: on either stream, before and after what is asked for.
func TestWarningsAreNormal(t *testing.T) {
	for name, script := range map[string]string{
		"standard error":         `exec "$real" "$@"`,
		"standard output":        `KATO_WARN=stdout exec "$real" "$@"`,
		"before and after a get": `echo "WARNING: one"; "$real" "$@"; echo "WARNING: another"`,
	} {
		t.Run(name, func(t *testing.T) {
			c := katotest.New(t, `{"docker": {"image": "stackato/stack/alsek"}}`)
			c.Fails(script)
			set(t, on(c), "exampleco/newimg")
			if got := c.Run("config", "get", "fence", "docker/image"); got != "exampleco/newimg" {
				t.Fatalf("it is set to %q", got)
			}
		})
	}
}

// TestANameThatKatoWouldGuessWrongIsSetAsAString: kato guesses types where it isn't told.
func TestANameThatKatoWouldGuessWrongIsSetAsAString(t *testing.T) {
	for _, image := range []string{"[::1]:5000/exampleco/newimg", "123", "true"} {
		c := katotest.New(t, `{"docker": {"image": "stackato/stack/alsek"}}`)
		set(t, on(c), image)
		if got := c.Docker()["image"]; got != image {
			t.Errorf("%s is set as %v", image, got)
		}
	}
}
