package imagediff

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/continuity/fs"
	"pgregory.net/rapid"
)

// TestLayersMakeWhatAFolderBecomes into which random layers are unpacked one after the other: each file that is wanted is there what
// it is here.
func TestLayersMakeWhatAFolderBecomes(t *testing.T) {
	files := []string{"var/lib/dpkg/status", "usr/lib/apk/db/installed", "lib/apk/db/installed", "var/lib/rpm/Packages"}
	folders := []string{"var", "var/lib", "var/lib/dpkg", "usr", "usr/lib", "usr/lib/apk", "lib", "lib/apk/db", "opt", "opt/a"}
	everything := slices.Concat(files, folders, []string{"opt/a/status", "opt/file", "status", "usr/lib/file"})
	targets := slices.Concat(everything, []string{"/opt", "/usr/lib", "/opt/a", "../lib", "../../opt", "usr/lib", "..", ".", "/none/status"})
	rapid.Check(t, func(t *rapid.T) {
		var layers [][]byte
		number := 0
		for range rapid.IntRange(1, 4).Draw(t, "layers") {
			var taken, given []at
			for range rapid.IntRange(0, 8).Draw(t, "entries") {
				name := rapid.SampledFrom(everything).Draw(t, "path")
				number++
				switch rapid.SampledFrom([]string{"file", "file", "folder", "link", "same", "gone", "opaque"}).Draw(t, "kind") {
				case "file":
					given = append(given, at{name, strings.Repeat("x", number)})
				case "folder":
					given = append(given, at{rapid.SampledFrom(folders).Draw(t, "folder") + "/", ""})
				case "link":
					given = append(given, at{name + " -> " + rapid.SampledFrom(targets).Draw(t, "target"), ""})
				case "same":
					given = append(given, at{name + " = " + rapid.SampledFrom(everything).Draw(t, "target"), ""})
				case "gone":
					taken = append(taken, at{path.Join(path.Dir(name), whiteout+path.Base(name)), ""})
				default:
					taken = append(taken, at{path.Join(rapid.SampledFrom(folders).Draw(t, "folder"), opaque), ""})
				}
			}
			layers = append(layers, tarOf(t, append(taken, given...)...))
		}
		root, err := os.MkdirTemp("", "overlay")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(root)
		for _, l := range layers {
			if err := unpackInto(root, l); err != nil {
				t.Skip(err) // a file where a folder should be, a hard link to nothing
			}
		}
		here := lay(t, layers)
		for _, name := range files {
			want := []byte(nil)
			if real, err := fs.RootPath(root, name); err == nil { // else links lead on and on, or through a file
				if is, err := os.Lstat(real); err == nil && is.Mode().IsRegular() {
					want, err = os.ReadFile(filepath.Clean(real))
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			switch f, why := here.at(name); {
			case why != "" && why != "links lead on and on":
				t.Fatalf("%s can't be told: %s", name, why)
			case (f == nil) != (want == nil) || f != nil && !bytes.Equal(f.content, want):
				t.Fatalf("%s is %v, and should be %q", name, f, want)
			}
		}
	})
}

// lay reads layers as those of an image that shares none.
func lay(t *rapid.T, layers [][]byte) *side {
	f := &files{want: newWanted("hooks", "hooks", nil)}
	s := &side{}
	for range 10 {
		kept, covered := int64(0), map[string]bool{}
		limits := Limits{}.orDefault()
		all := make([][]entry, len(layers))
		for i := len(layers) - 1; i >= 0; i-- {
			var err error
			if all[i], err = unpack(bytes.NewReader(layers[i]), f.want, covered, &budget{limits, limits.Bytes, limits.Entries, &kept}); err != nil {
				t.Fatal(err)
			}
			for _, e := range all[i] {
				if e.kind == isFile {
					covered[e.path] = true
				}
			}
		}
		s.is = newOverlay(all)
		if !f.wantMore(s) {
			return s
		}
	}
	t.Fatal("links lead on and on")
	return nil
}

// unpackInto unpacks a layer into a folder as engines do: the kernel keeps the files, links in folders on the way are followed
// within it. What is taken away stands first.
func unpackInto(root string, layer []byte) error {
	for in := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		h.Name = path.Clean(h.Name)
		dir, err := fs.RootPath(root, path.Dir(h.Name))
		if err != nil {
			return err
		}
		gone, isGone := strings.CutPrefix(path.Base(h.Name), whiteout)
		switch {
		case path.Base(h.Name) == opaque:
			err = emptied(dir)
		case isGone:
			if is, lerr := os.Lstat(dir); lerr == nil && is.IsDir() {
				err = os.RemoveAll(filepath.Join(dir, gone))
			}
		default:
			err = unpackOne(root, dir, h, in)
		}
		if err != nil {
			return err
		}
	}
}

// emptied takes away what is in a folder.
func emptied(dir string) error {
	inside, err := os.ReadDir(dir)
	if err != nil {
		return nil //nolint:nilerr // nothing to be taken away
	}
	for _, i := range inside {
		if err := os.RemoveAll(filepath.Join(dir, i.Name())); err != nil {
			return err
		}
	}
	return nil
}

func unpackOne(root, dir string, h *tar.Header, content io.Reader) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	to := filepath.Join(dir, path.Base(h.Name))
	if is, err := os.Lstat(to); err == nil && !(is.IsDir() && h.Typeflag == tar.TypeDir) {
		if err := os.RemoveAll(to); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(to, 0o755)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, to)
	case tar.TypeLink:
		from, err := fs.RootPath(root, path.Dir(h.Linkname))
		if err != nil {
			return err
		}
		return os.Link(filepath.Join(from, path.Base(h.Linkname)), to)
	default:
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o600)
	}
}
