package packagedb

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The form of SQLite's files is https://www.sqlite.org/fileformat2.html. Of it only what reads all rows of one table is here.
// What still lies in a write-ahead log beside the file is not seen; rpm empties it when it ends.

const (
	sqliteMagic  = "SQLite format 3\x00"
	sqliteHeader = 100
	// sqliteDepth is what a b-tree of more pages than a file can have would need.
	sqliteDepth = 20

	pageInterior = 0x05
	pageLeaf     = 0x0d
)

var errShort = errors.New("it ends too early")

// sqlite is a database.
type sqlite struct {
	b      []byte
	size   uint64 // of a page
	usable uint64 // of it
	pages  pages
}

// readSQLite gives the last column of each row of a table.
func readSQLite(b []byte, table string, take func([]byte) error) error {
	if len(b) < sqliteHeader {
		return errShort
	}
	s := &sqlite{b: b, size: uint64(binary.BigEndian.Uint16(b[16:]))}
	if s.size == 1 {
		s.size = 65536
	}
	s.usable = s.size - uint64(b[20])
	if s.size < 512 || s.size&(s.size-1) != 0 || s.usable < 480 {
		return fmt.Errorf("its pages have %d bytes", s.size)
	}
	root := uint64(0)
	err := s.rows(1, 0, func(record []byte) error { // the schema: type, name, name of the table, its first page, how it was made
		columns, err := columnsOf(record, 5)
		if err == nil && string(columns[0]) == "table" && string(columns[1]) == table {
			root = number(columns[3])
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("its schema: %w", err)
	}
	if root == 0 {
		return fmt.Errorf("it has no table %s", table)
	}
	return s.rows(root, 0, func(record []byte) error {
		columns, err := columnsOf(record, 2)
		if err != nil {
			return err
		}
		return take(columns[1])
	})
}

// page is a page by its number, from 1, each once.
func (s *sqlite) page(n uint64) ([]byte, error) {
	if n == 0 || n > uint64(len(s.b))/s.size {
		return nil, fmt.Errorf("page %d: %w", n, errShort)
	}
	return s.b[(n-1)*s.size : n*s.size], s.pages.once(n)
}

// rows gives the record of each row of a table, whose b-tree begins at a page.
func (s *sqlite) rows(n uint64, depth int, take func([]byte) error) error {
	page, err := s.page(n)
	if err != nil {
		return err
	}
	if depth > sqliteDepth {
		return errors.New("its tree is too deep")
	}
	head := page
	if n == 1 {
		head = page[sqliteHeader:]
	}
	cells, pointers := int(binary.BigEndian.Uint16(head[3:])), head[8:]
	kind := head[0]
	if kind == pageInterior {
		pointers = head[12:]
	} else if kind != pageLeaf {
		return fmt.Errorf("page %d is of kind %d", n, kind)
	}
	if 2*cells > len(pointers) {
		return fmt.Errorf("page %d has %d cells", n, cells)
	}
	for ; cells > 0; cells, pointers = cells-1, pointers[2:] {
		at := int(binary.BigEndian.Uint16(pointers))
		if at+4 > int(s.usable) {
			return fmt.Errorf("a cell of page %d is beyond it", n)
		}
		if kind == pageInterior {
			err = s.rows(uint64(binary.BigEndian.Uint32(page[at:])), depth+1, take)
		} else {
			err = s.cell(page[at:s.usable], take)
		}
		if err != nil {
			return err
		}
	}
	if kind == pageInterior {
		return s.rows(uint64(binary.BigEndian.Uint32(head[8:])), depth+1, take)
	}
	return nil
}

// cell gives the record of a row, of which a part may lie on other pages.
func (s *sqlite) cell(b []byte, take func([]byte) error) error {
	size, n := varint(b)
	_, m := varint(b[n:]) // the row's number
	if n == 0 || m == 0 || size > uint64(len(s.b)) {
		return errShort
	}
	b = b[n+m:]
	local := size
	if most := s.usable - 35; size > most {
		least := (s.usable-12)*32/255 - 23
		if local = least + (size-least)%(s.usable-4); local > most {
			local = least
		}
	}
	if uint64(len(b)) < local {
		return errShort
	}
	if local == size {
		return take(b[:size])
	}
	if uint64(len(b)) < local+4 {
		return errShort
	}
	record := append(make([]byte, 0, size), b[:local]...)
	for next := uint64(binary.BigEndian.Uint32(b[local:])); uint64(len(record)) < size; {
		page, err := s.page(next)
		if err != nil {
			return err
		}
		next = uint64(binary.BigEndian.Uint32(page))
		record = append(record, page[4:4+min(s.usable-4, size-uint64(len(record)))]...)
	}
	return take(record)
}

// columnsOf are the first columns of a record, as they are stored.
func columnsOf(record []byte, want int) ([][]byte, error) {
	size, n := varint(record)
	if n == 0 || size > uint64(len(record)) || size < uint64(n) {
		return nil, errShort
	}
	kinds, values := record[n:size], record[size:]
	var out [][]byte
	for len(out) < want {
		kind, n := varint(kinds)
		if n == 0 {
			return nil, fmt.Errorf("a row has %d columns", len(out))
		}
		kinds = kinds[n:]
		length := lengthOf(kind)
		if length > uint64(len(values)) {
			return nil, errShort
		}
		out, values = append(out, values[:length]), values[length:]
	}
	return out, nil
}

// lengthOf is how many bytes a value of a kind takes.
func lengthOf(kind uint64) uint64 {
	switch {
	case kind >= 12:
		return (kind - 12) / 2
	case kind == 5:
		return 6
	case kind == 6 || kind == 7:
		return 8
	case kind <= 4:
		return kind
	}
	return 0
}

// number is a column that is a small number.
func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// varint reads a number of SQLite's: seven bits a byte, the highest first, and eight of a ninth. It has no bytes where b ends
// within it.
func varint(b []byte) (v uint64, bytes int) {
	for i, c := range b {
		if i == 8 {
			return v<<8 | uint64(c), 9
		}
		v = v<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
