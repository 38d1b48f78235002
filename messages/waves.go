package messages

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
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

// TracedNodes is how many nodes of a rollout beside its canaries make spans of what they do, about: a large fleet must not
// fill anybody's store of traces.
const TracedNodes = 20

// TraceThreshold is for Preload.Traced, in a fleet of so many members.
func TraceThreshold(members int) uint64 {
	if members <= TracedNodes {
		return math.MaxUint64
	}
	return math.MaxUint64 / uint64(members) * TracedNodes
}

// Traces tells whether a node makes spans of what it does for the preload's rollout. Those that do are spread over its waves.
func (p *Preload) Traces(node string) bool {
	return slices.Contains(p.Canaries, node) || p.Traced > 0 && WaveHash("trace "+p.Rollout, node) <= p.Traced
}
