package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// RefusedFile tells that a producer can't use its pipeline file as it is, in the triggers bucket under its RefusedFileKey. It is
// written again every RefusedFileEvery while that is so, and removed when it is not.
type RefusedFile struct {
	Producer string    `json:"producer"` // its machine
	Path     string    `json:"path"`
	Error    string    `json:"error"` // for people
	Since    time.Time `json:"since"` // by the producer's clock
}

// RefusedFileEvery is how often a RefusedFile is written again. One that is much older is of a producer that has gone.
const RefusedFileEvery = time.Minute

// RefusedFileKey is the key of the RefusedFile of a machine and path.
func RefusedFileKey(producer, path string) string {
	sum := sha256.Sum256([]byte(producer + "\n" + path))
	return "file." + hex.EncodeToString(sum[:16])
}
