package packagedb

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// kept is a file of testdata, unpacked where its name says that it is packed.
func kept(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sorted(all []Package) []Package {
	slices.SortFunc(all, func(a, b Package) int { return strings.Compare(a.Name+" "+a.Version, b.Name+" "+b.Version) })
	return all
}

const dpkgStatus = `Package: libc6
Status: install ok installed
Priority: optional
Architecture: amd64
Multi-Arch: same
Version: 2.36-9+deb12u10
Description: GNU C Library: Shared libraries
 Package: not this one
 .
 Version: 0

package: old
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-configured
Version: 1:2-3
Architecture: all`

func TestDpkg(t *testing.T) {
	got, err := Dpkg([]byte(dpkgStatus))
	if err != nil || !slices.Equal(got, []Package{{"libc6", "2.36-9+deb12u10", "amd64"}, {"half", "1:2-3", "all"}}) {
		t.Errorf("%+v, %v", got, err)
	}
	got, err = Dpkg([]byte("Package: tzdata\r\nVersion: 2025b\r\nArchitecture: all\r\n")) // as status.d has it: without a status
	if err != nil || !slices.Equal(got, []Package{{"tzdata", "2025b", "all"}}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestApk(t *testing.T) {
	got, err := Apk(kept(t, "installed"))
	if err != nil || !slices.Equal(got, []Package{{"musl", "1.2.5-r9", "x86_64"}, {"busybox", "1.37.0-r12", "x86_64"}}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRPM(t *testing.T) {
	for name, want := range map[string][]Package{
		"rpmdb.sqlite.gz": {{"bash", "5.2.15-1", "noarch"}, {"openssl", "1:3.0.7-4", "noarch"}, {"zlib", "1.2.13-2", "noarch"}},
		"Packages.gz":     {{"libuuid", "2.32.1-42.el8_8", "x86_64"}},
		"Packages.db.gz": {
			{"libbz2-1", "1.0.6-5.11.1", "x86_64"}, {"libcap2", "2.26-4.6.1", "x86_64"}, {"rpm-config-SUSE", "1-5.6.1", "noarch"},
			{"system-user-root", "20190513-3.3.1", "noarch"},
		},
	} {
		got, err := RPM(kept(t, name))
		if err != nil || !slices.Equal(sorted(got), want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestSQLiteOfManyPages has a tree with inner pages, and values that lie on pages of their own.
func TestSQLiteOfManyPages(t *testing.T) {
	all, err := RPM(kept(t, "many.sqlite.gz"))
	if err != nil || len(all) != 300 {
		t.Fatalf("%d packages, %v", len(all), err)
	}
	for n, p := range all {
		if want := (Package{fmt.Sprintf("package-%03d", n+1), fmt.Sprintf("1.%d-1", n+1), "noarch"}); p != want {
			t.Errorf("%+v, want %+v", p, want)
		}
	}
	if err := readSQLite(kept(t, "many.sqlite.gz"), "None", func([]byte) error { return nil }); err == nil {
		t.Error("a table that is not there was read")
	}
}

// TestHostileDatabases end with an error, and soon.
func TestHostileDatabases(t *testing.T) {
	sqlite, ndb, bdb := kept(t, "rpmdb.sqlite.gz"), kept(t, "Packages.db.gz"), kept(t, "Packages.gz")
	changed := func(b []byte, at int, to ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], to)
		return b
	}
	many := bytes.Repeat([]byte("P:x\n\n"), maxPackages+1)
	for about, c := range map[string]struct {
		parse func([]byte) ([]Package, error)
		b     []byte
	}{
		"a status of no fields":         {Dpkg, []byte("\x7fELF\x00\x01")},
		"a status without a name":       {Dpkg, []byte("Status: install ok installed\n")},
		"a status with a long name":     {Dpkg, []byte("Package: " + strings.Repeat("x", 1<<20))},
		"an apk database of no fields":  {Apk, []byte("hello")},
		"an apk database without names": {Apk, []byte("V:1\n\n")},
		"too many packages":             {Apk, many},
		"nothing":                       {RPM, nil},
		"text":                          {RPM, bytes.Repeat([]byte("text"), 1000)},
		"a database that ends":          {RPM, sqlite[:4096]},
		"pages of no bytes":             {RPM, changed(sqlite, 16, 0, 0)},
		"a page that leads to itself":   {RPM, changed(sqlite, 4096, pageInterior, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)},
		"cells beyond a page":           {RPM, changed(sqlite, 4096+3, 0xff, 0xff)},
		"a slot that leads out":         {RPM, changed(ndb, slotOf(ndb)+8, 0xff, 0xff, 0xff, 0x7f)},
		"slots beyond the file":         {RPM, changed(ndb, 12, 0xff, 0xff, 0, 0)},
		"a bdb with odd pages":          {RPM, changed(bdb, 20, 1, 2, 3, 4)},
		"a bdb that is encrypted":       {RPM, changed(bdb, 24, 1)},
		"a bdb with many entries":       {RPM, changed(bdb, 4096+20, 0xff, 0xff, 0, 0, 0, 13)},
	} {
		if got, err := c.parse(c.b); err == nil {
			t.Errorf("%s: %d packages", about, len(got))
		}
	}
	if _, err := Apk(many); !errors.Is(err, ErrTooMany) {
		t.Error(err)
	}
}

// header is that of a package as databases have it.
func header(name, version string) []byte {
	var index, values []byte
	for tag, word := range map[uint32]string{tagName: name, tagVersion: version, tagRelease: "1", tagArch: "noarch"} {
		for _, n := range []uint32{tag, typeString, uint32(len(values)), 1} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		values = append(append(values, word...), 0)
	}
	index = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(index, tagEpoch), typeInt32)
	index = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(index, uint32(len(values))), 1)
	values = binary.BigEndian.AppendUint32(values, 7)
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(len(index)/16)), uint32(len(values)))
	return append(append(b, index...), values...)
}

// smallBDB has a package whose header lies beside its key, and one whose header goes on over two pages.
func smallBDB(order binary.ByteOrder) []byte {
	const size = 512
	b := make([]byte, 4*size)
	order.PutUint32(b[12:], bdbMagic)
	order.PutUint32(b[20:], size)
	b[25] = bdbMetadata
	page := b[size : 2*size]
	page[25] = bdbSorted
	order.PutUint16(page[20:], 4)
	at := size
	put := func(n int, item []byte) {
		at -= len(item)
		copy(page[at:], item)
		order.PutUint16(page[bdbHeader+2*n:], uint16(at))
	}
	far := append(header("far", "2"), make([]byte, 400)...)
	put(0, []byte{bdbInline, 1})
	put(1, append([]byte{bdbInline}, header("near", "1")...))
	put(2, []byte{bdbInline, 2})
	off := make([]byte, 12)
	off[0] = bdbOffpage
	order.PutUint32(off[4:], 2)
	order.PutUint32(off[8:], uint32(len(far)))
	put(3, off)
	for n := 2; n < 4; n++ {
		page := b[n*size : (n+1)*size]
		page[25] = bdbOverflow
		used := copy(page[bdbHeader:], far)
		far = far[used:]
		order.PutUint16(page[22:], uint16(used))
		if n == 2 {
			order.PutUint32(page[16:], 3)
		}
	}
	return b
}

// smallNDB has one package behind a page of slots.
func smallNDB() []byte {
	b := make([]byte, ndbPage)
	copy(b, ndbMagic)
	binary.LittleEndian.PutUint32(b[12:], 1)
	for at := 32; at < ndbPage; at += ndbUnit {
		copy(b[at:], ndbSlot)
	}
	binary.LittleEndian.PutUint32(b[36:], 1)
	binary.LittleEndian.PutUint32(b[40:], ndbPage/ndbUnit)
	of := header("small", "3")
	blob := binary.LittleEndian.AppendUint32(append([]byte(ndbBlob), 1, 0, 0, 0), 0)
	return append(append(b, binary.LittleEndian.AppendUint32(blob, uint32(len(of)))...), of...)
}

// smallSQLite has a page with the schema, and one with a row.
func smallSQLite() []byte {
	const size = 512
	b := make([]byte, 2*size)
	copy(b, sqliteMagic)
	binary.BigEndian.PutUint16(b[16:], size)
	leaf := func(page, head []byte, record []byte) {
		cell := append([]byte{byte(0x80 | len(record)>>7), byte(len(record) & 0x7f), 1}, record...)
		at := size - len(cell)
		copy(page[at:], cell)
		head[0] = pageLeaf
		binary.BigEndian.PutUint16(head[3:], 1)
		binary.BigEndian.PutUint16(head[8:], uint16(at))
	}
	leaf(b[:size], b[sqliteHeader:], append([]byte{6, 0x17, 0x1d, 0x1d, 1, 0x0d}, append([]byte("tablePackagesPackages"), 2)...))
	of := header("row", "4")
	kind := 12 + 2*len(of)
	leaf(b[size:], b[size:], append([]byte{4, 0, byte(0x80 | kind>>7), byte(kind & 0x7f)}, of...))
	return b
}

// TestSmallDatabases are put together here by the descriptions of their forms.
func TestSmallDatabases(t *testing.T) {
	for about, c := range map[string]struct {
		b    []byte
		want []Package
	}{
		"SQLite":          {smallSQLite(), []Package{{"row", "7:4-1", "noarch"}}},
		"ndb":             {smallNDB(), []Package{{"small", "7:3-1", "noarch"}}},
		"bdb":             {smallBDB(binary.LittleEndian), []Package{{"far", "7:2-1", "noarch"}, {"near", "7:1-1", "noarch"}}},
		"bdb, big-endian": {smallBDB(binary.BigEndian), []Package{{"far", "7:2-1", "noarch"}, {"near", "7:1-1", "noarch"}}},
	} {
		if got, err := RPM(c.b); err != nil || !slices.Equal(sorted(got), c.want) {
			t.Errorf("%s: %+v, %v", about, got, err)
		}
	}
}

// slotOf is where the first slot is that has a package.
func slotOf(ndb []byte) int {
	for at := 32; ; at += 16 {
		if binary.LittleEndian.Uint32(ndb[at+4:]) != 0 {
			return at
		}
	}
}

func FuzzDpkg(f *testing.F) {
	f.Add([]byte(dpkgStatus))
	f.Fuzz(func(t *testing.T, b []byte) { sane(t, b, Dpkg) })
}

func FuzzApk(f *testing.F) {
	f.Add(kept(f, "installed"))
	f.Fuzz(func(t *testing.T, b []byte) { sane(t, b, Apk) })
}

func FuzzRPM(f *testing.F) {
	f.Add(smallSQLite())
	f.Add(smallNDB())
	f.Add(smallBDB(binary.LittleEndian))
	f.Add(smallBDB(binary.BigEndian))
	f.Fuzz(func(t *testing.T, b []byte) { sane(t, b, RPM) })
}

// sane holds what was read to what anybody may be given.
func sane(t *testing.T, b []byte, parse func([]byte) ([]Package, error)) {
	all, err := parse(b)
	if len(all) > maxPackages {
		t.Errorf("%d packages", len(all))
	}
	for _, p := range all {
		if p.Name == "" || max(len(p.Name), len(p.Version), len(p.Arch)) > maxWord {
			t.Errorf("%+v, %v", p, err)
		}
	}
}
