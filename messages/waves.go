package messages

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// WaveHash places a node within a rollout: a member is admitted when its hash is at or
// below the threshold. The first 8 bytes of SHA-256 over "ROLLOUT\x00NODE", big-endian.
func WaveHash(rollout, node string) uint64 {
	sum := sha256.Sum256([]byte(rollout + "\x00" + node))
	return binary.BigEndian.Uint64(sum[:8])
}

// WaveThreshold is the threshold that admits exactly k of the nodes: the k-th smallest
// hash. It is 0, which admits none, for k below 1, and admits all for k of len(nodes) and more.
func WaveThreshold(rollout string, nodes []string, k int) uint64 {
	if k < 1 || len(nodes) == 0 {
		return 0
	}
	hashes := make([]uint64, len(nodes))
	for i, n := range nodes {
		hashes[i] = WaveHash(rollout, n)
	}
	slices.Sort(hashes)
	return hashes[min(k, len(hashes))-1]
}
