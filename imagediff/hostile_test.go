package imagediff

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/terminal"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func unzipped(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	b, err := io.ReadAll(z)
	must(t, err)
	return string(b)
}

// TestHostileImages are read as far as they may be, and what is not known for that is said. All else is told.
func TestHostileImages(t *testing.T) {
	s := newShop(t)
	plain := s.push(t, imageOf(t, nil, layerOf(t, at{statusFile, stanzas("bash=1")})))
	bomb := func() []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		must(t, w.WriteHeader(&tar.Header{Name: "zeros", Size: 16 << 20, Mode: 0o600}))
		_, err := io.CopyN(w, zeros{}, 16<<20)
		must(t, err)
		must(t, w.Close())
		return b.Bytes()
	}
	many := make([]at, 3000)
	for i := range many {
		many[i] = at{fmt.Sprintf("f%d", i), ""}
	}
	links := make([]at, 3000)
	for i := range links {
		links[i] = at{fmt.Sprintf("%s.d/%d -> %s", statusFile, i, strings.Repeat("x", 1000)), ""}
	}
	deep := make([]at, 60)
	for i := range deep {
		deep[i] = at{fmt.Sprintf("%s.d/%d -> /%d%s", statusFile, i, i, strings.Repeat("/x", 2000)), ""}
	}
	long := []at{{statusFile + ".d/l30", ""}} // each of which takes 60,000 steps
	for i := range 30 {
		long = append(long, at{fmt.Sprintf("%s.d/l%d -> %sl%d", statusFile, i, strings.Repeat("./", 2000), i+1), ""})
	}
	for i := range 400 {
		long = append(long, at{fmt.Sprintf("%s.d/%d -> l0", statusFile, i), ""})
	}
	for about, c := range map[string]struct {
		layer  v1.Layer
		limits Limits
		says   string
	}{
		"names that never end":      {layerOf(t, at{statusFile + ".d/" + strings.Repeat("x", 5000), ""}), Limits{}, "a path in it has more than 4096 bytes"},
		"many names":                {layerOf(t, links...), Limits{Kept: 6 << 20}, "links that tell which packages there are take more than 2 MiB"},
		"links that lead too deep":  {layerOf(t, deep...), Limits{}, "it has too many links, or they lead too far"},
		"links that lead too far":   {layerOf(t, long...), Limits{}, "it has too many links, or they lead too far"},
		"a bomb":                    {gzipped(t, bomb()), Limits{Bytes: 2 << 20}, "read for 2 MiB, unpacked, and no further"},
		"a million entries":         {layerOf(t, many...), Limits{Entries: 1000}, "more than 1000 files"},
		"a large database":          {layerOf(t, at{statusFile, strings.Repeat("x", 2<<20)}), Limits{File: 1 << 20}, "packages of dpkg: /var/lib/dpkg/status of the second image: it has 2 MiB"},
		"a lot of databases":        {layerOf(t, at{statusFile, strings.Repeat("x", 2<<20)}), Limits{Kept: 3 << 20}, "together"},
		"a database of no sense":    {layerOf(t, at{statusFile, "\x00\x01\x02"}), Limits{}, "packages of dpkg: /var/lib/dpkg/status of the second image: line 1 is no field"},
		"an rpm that was not ended": {layerOf(t, at{"var/lib/rpm/rpmdb.sqlite-wal", "changes"}), Limits{}, "not closed"},
		"no tar":                    {plainLayer(bytes.Repeat([]byte("text"), 1000)), Limits{}, "can't be unpacked"},
		"half a tar":                {plainLayer(tarOf(t, at{statusFile, strings.Repeat("x", 5000)})[:2000]), Limits{}, "can't be unpacked"},
		"half a gzip":               {plainLayer([]byte{0x1f, 0x8b, 8, 0}), Limits{}, "can't be unpacked"},
		"half a zstd":               {plainLayer([]byte{0x28, 0xb5, 0x2f, 0xfd, 1}), Limits{}, "can't be unpacked"},
		"links that go on and on":   {layerOf(t, at{"var/lib/dpkg -> dpkg2", ""}, at{"var/lib/dpkg2 -> dpkg", ""}), Limits{}, "links lead on and on"},
		"a hard link to nothing":    {layerOf(t, at{statusFile + " = srv/none", ""}), Limits{}, "a link to /srv/none, which is not there"},
		"a hook that is a bomb":     {layerOf(t, at{"etc/stackato/hooks/pre-running", strings.Repeat("x", 2<<20)}), Limits{File: 1 << 20}, "hook pre-running: /etc/stackato/hooks/pre-running of the second image"},
	} {
		d := compare(t, c.limits, plain, s.push(t, imageOf(t, func(c *v1.ConfigFile) { c.Config.User = "x" }, c.layer)))
		if !strings.Contains(strings.Join(d.Unknown, "\n"), c.says) || len(d.Settings) != 1 || len(d.Layers) != 2 {
			t.Errorf("%s: %q of %+v", about, d.Unknown, d)
		}
		var text strings.Builder
		page := terminal.NewPage(&text)
		d.Write(page)
		must(t, page.Flush())
		if hook := strings.Contains(about, "hook"); !hook && strings.Contains(text.String(), "packages: the same") || hook && strings.Contains(text.String(), "hooks: the same") || !strings.Contains(text.String(), "not known") {
			t.Errorf("%s: what is not known is told as the same:\n%s", about, &text)
		}
		if strings.Contains(about, "hook") == (len(d.Packages.Removed) == 0) && strings.Contains(c.says, "hook") {
			t.Errorf("%s: packages %+v", about, d.Packages)
		}
	}
}

// zeros are so many as anybody reads.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestALargeHookIsCut, and one that is no text is not shown.
func TestALargeHookIsCut(t *testing.T) {
	text := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "echo %d\n", i)
		}
		return []byte(b.String())
	}
	if d, more := unified(nil, text(1000)); strings.Count(d, "\n") != mostLines || more != 1000+1-mostLines {
		t.Errorf("%d lines, and %d more", strings.Count(d, "\n"), more)
	}
	if d, more := unified(text(10), bytes.Repeat([]byte("x"), 100_000)); len(d) > mostText+100 || more == 0 {
		t.Errorf("%d bytes, and %d lines more", len(d), more)
	}
	for _, b := range [][]byte{{0}, {0xff}, text(100_000)} {
		if d, _ := unified(text(1), b); !strings.HasPrefix(d, "of 7 bytes, now") {
			t.Errorf("%.100q", d)
		}
	}
}

func FuzzLayer(f *testing.F) {
	raw := tarOf(f, at{"var/", ""}, at{statusFile, "Package: a\n"}, at{"lib -> usr/lib", ""}, at{"var/lib/.wh.dpkg", ""}, at{"etc/.wh..wh..opq", ""}, at{"x = var/lib/dpkg/status", ""})
	f.Add(raw)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(raw)
	_ = w.Close()
	f.Add(z.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := int64(0)
		limits := Limits{Bytes: 1 << 20, Entries: 1000, File: 1 << 16, Kept: 1 << 18}
		want := newWanted("etc/stackato/hooks", "opt/hooks", []string{"pre-running"})
		all, err := unpack(bytes.NewReader(b), want, map[string]bool{}, &budget{limits: limits, bytes: limits.Bytes, entries: limits.Entries, kept: &kept})
		if kept > limits.Kept || len(all) > limits.Entries {
			t.Errorf("%d bytes of %d entries, %v", kept, len(all), err)
		}
		o := newOverlay([][]entry{all, all})
		for name := range want.files {
			if at := o.find(name); at.node != nil && at.node.kind == isFile && at.node.file == nil {
				t.Errorf("%s has no file", name)
			}
		}
	})
}
