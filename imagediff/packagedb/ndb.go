package packagedb

import (
	"encoding/binary"
	"fmt"
)

// The form of ndb is in rpm's lib/backend/ndb/rpmpkg.c: pages of slots, each of which points to a header.

const (
	ndbMagic   = "RpmP"
	ndbSlot    = "Slot"
	ndbBlob    = "BlbS"
	ndbPage    = 4096
	ndbUnit    = 16 // of slots, of what they point to, and of what stands before a header
	ndbVersion = 0
)

// readNDB gives each header.
func readNDB(b []byte, take func([]byte) error) error {
	if len(b) < 2*ndbUnit {
		return errShort
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v != ndbVersion {
		return fmt.Errorf("it is ndb of version %d", v)
	}
	end := uint64(binary.LittleEndian.Uint32(b[12:])) * ndbPage
	if end > uint64(len(b)) {
		return errShort
	}
	left := uint64(len(b)) // headers don't share their bytes
	for at := uint64(2 * ndbUnit); at < end; at += ndbUnit {
		slot := b[at : at+ndbUnit]
		if string(slot[:4]) != ndbSlot {
			return fmt.Errorf("there is no slot at %d", at)
		}
		index, from := binary.LittleEndian.Uint32(slot[4:]), ndbUnit*uint64(binary.LittleEndian.Uint32(slot[8:]))
		if index == 0 {
			continue
		}
		if from+ndbUnit > uint64(len(b)) {
			return fmt.Errorf("package %d: %w", index, errShort)
		}
		head := b[from : from+ndbUnit]
		length := uint64(binary.LittleEndian.Uint32(head[12:]))
		if string(head[:4]) != ndbBlob || binary.LittleEndian.Uint32(head[4:]) != index {
			return fmt.Errorf("package %d is not where its slot says", index)
		}
		if length > left || from+ndbUnit+length > uint64(len(b)) {
			return fmt.Errorf("package %d: %w", index, errShort)
		}
		left -= length
		if err := take(b[from+ndbUnit : from+ndbUnit+length]); err != nil {
			return fmt.Errorf("package %d: %w", index, err)
		}
	}
	return nil
}
