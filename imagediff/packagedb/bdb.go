package packagedb

import (
	"encoding/binary"
	"fmt"
)

// The form of Berkeley DB's hashes is in its src/dbinc/db_page.h: pages of pairs, whose values lie on pages of their own where
// they are large, as headers are.

const (
	bdbMagic    = 0x061561
	bdbHeader   = 26 // of each page
	bdbMetadata = 8

	bdbUnsorted = 2 // pages of pairs of before 4.6, and since
	bdbSorted   = 13
	bdbOverflow = 7

	bdbInline  = 1 // where the bytes of a value are
	bdbOffpage = 3
)

// bdb is a database.
type bdb struct {
	b     []byte
	order binary.ByteOrder
	size  uint64 // of a page
	pages pages
}

// isBDB tells whether bytes begin as a hash, in either byte order.
func isBDB(b []byte) bool { return bdbOrder(b) != nil }

func bdbOrder(b []byte) binary.ByteOrder {
	if len(b) < 512 || b[25] != bdbMetadata {
		return nil
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if order.Uint32(b[12:]) == bdbMagic {
			return order
		}
	}
	return nil
}

// readBDB gives each header.
func readBDB(b []byte, take func([]byte) error) error {
	d := &bdb{b: b, order: bdbOrder(b)}
	d.size = uint64(d.order.Uint32(b[20:]))
	if d.size < 512 || d.size > 65536 || d.size&(d.size-1) != 0 {
		return fmt.Errorf("its pages have %d bytes", d.size)
	}
	if b[24] != 0 {
		return fmt.Errorf("it is encrypted")
	}
	for n := uint64(1); n < uint64(len(b))/d.size; n++ {
		page := b[n*d.size : (n+1)*d.size]
		if page[25] != bdbUnsorted && page[25] != bdbSorted {
			continue
		}
		if err := d.pairs(page, take); err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
	}
	return nil
}

// pairs gives the values of a page's pairs. Each begins where its offset says, and ends where the one before it begins.
func (d *bdb) pairs(page []byte, take func([]byte) error) error {
	count := uint64(d.order.Uint16(page[20:]))
	if bdbHeader+2*count > d.size {
		return fmt.Errorf("it has %d entries", count)
	}
	before := d.size
	for i := range count {
		at := uint64(d.order.Uint16(page[bdbHeader+2*i:]))
		if at >= before {
			return fmt.Errorf("entry %d is not below the one before", i)
		}
		item := page[at:before]
		before = at
		if i%2 == 0 {
			continue // a key
		}
		value, err := d.value(item)
		if err != nil {
			return err
		}
		if len(value) < 8 { // the highest key that was given
			continue
		}
		if err := take(value); err != nil {
			return err
		}
	}
	return nil
}

func (d *bdb) value(item []byte) ([]byte, error) {
	switch kind := item[0]; {
	case kind == bdbInline:
		return item[1:], nil
	case kind != bdbOffpage:
		return nil, fmt.Errorf("a value is of kind %d", kind)
	case len(item) < 12:
		return nil, errShort
	}
	length := uint64(d.order.Uint32(item[8:]))
	if length > uint64(len(d.b)) {
		return nil, errShort
	}
	value := make([]byte, 0, length)
	for next := uint64(d.order.Uint32(item[4:])); next != 0; {
		if next >= uint64(len(d.b))/d.size {
			return nil, errShort
		}
		if err := d.pages.once(next); err != nil {
			return nil, err
		}
		page := d.b[next*d.size : (next+1)*d.size]
		used := uint64(d.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || bdbHeader+used > d.size {
			return nil, fmt.Errorf("page %d has no more of a value", next)
		}
		value = append(value, page[bdbHeader:bdbHeader+used]...)
		next = uint64(d.order.Uint32(page[16:]))
	}
	if uint64(len(value)) != length {
		return nil, fmt.Errorf("a value of %d bytes has %d", length, len(value))
	}
	return value, nil
}
