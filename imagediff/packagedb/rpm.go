package packagedb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// RPM reads a database of rpm in whichever of its three forms it is: SQLite, ndb, or Berkeley DB.
func RPM(b []byte) ([]Package, error) {
	var all packages
	take := func(header []byte) error {
		p, err := headerOf(header)
		if err != nil {
			return err
		}
		return all.add(p)
	}
	var err error
	switch {
	case bytes.HasPrefix(b, []byte(sqliteMagic)):
		err = readSQLite(b, "Packages", take)
	case bytes.HasPrefix(b, []byte(ndbMagic)):
		err = readNDB(b, take)
	case isBDB(b):
		err = readBDB(b, take)
	default:
		err = errors.New("it is neither SQLite, nor ndb, nor a hash of Berkeley DB")
	}
	return all, err
}

// The tags of a header that tell which package it is, and their types (rpm's include/rpm/rpmtag.h).
const (
	tagName    = 1000
	tagVersion = 1001
	tagRelease = 1002
	tagEpoch   = 1003
	tagArch    = 1022

	typeInt32  = 4
	typeString = 6
)

// headerOf reads a package from its header as databases have it, without a magic: two counts, an index of tags, and what they
// point to (lib/header.c). All is big-endian, whatever the machine.
func headerOf(b []byte) (Package, error) {
	if len(b) < 8 {
		return Package{}, fmt.Errorf("a header has %d bytes", len(b))
	}
	tags, data := uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:]))
	if 8+16*tags+data > uint64(len(b)) {
		return Package{}, fmt.Errorf("a header of %d tags and %d bytes ends after %d bytes", tags, data, len(b))
	}
	index, values := b[8:8+16*tags], b[8+16*tags:8+16*tags+data]
	var p Package
	var release string
	var epoch *uint32
	words := map[uint32]*string{tagName: &p.Name, tagVersion: &p.Version, tagRelease: &release, tagArch: &p.Arch}
	for ; len(index) > 0; index = index[16:] {
		tag, kind, at := binary.BigEndian.Uint32(index), binary.BigEndian.Uint32(index[4:]), uint64(binary.BigEndian.Uint32(index[8:]))
		word := words[tag]
		switch {
		case word == nil && tag != tagEpoch:
		case at >= data:
			return Package{}, fmt.Errorf("tag %d of a header points beyond it", tag)
		case word != nil && kind == typeString:
			text, _, ended := bytes.Cut(values[at:min(at+maxWord+2, data)], []byte{0})
			if !ended {
				return Package{}, fmt.Errorf("tag %d of a header does not end", tag)
			}
			*word = string(text)
		case word == nil && kind == typeInt32 && at+4 <= data:
			epoch = new(binary.BigEndian.Uint32(values[at:]))
		default:
			return Package{}, fmt.Errorf("tag %d of a header is of type %d", tag, kind)
		}
	}
	if release != "" {
		p.Version += "-" + release
	}
	if epoch != nil && *epoch != 0 {
		p.Version = fmt.Sprintf("%d:%s", *epoch, p.Version)
	}
	return p, nil
}

// pages are the pages of a database that were read: none is read twice, so that pages which lead to each other end.
type pages struct {
	seen map[uint64]bool
}

func (p *pages) once(n uint64) error {
	if p.seen[n] {
		return fmt.Errorf("page %d is reached twice", n)
	}
	if p.seen == nil {
		p.seen = map[uint64]bool{}
	}
	p.seen[n] = true
	return nil
}
