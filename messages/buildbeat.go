package messages

import "time"

// BuildBeat is the sign of life of the worker that has a build, beside the build's record, written each time
// that its lease was confirmed. When it was written, by the server's clock, is when the worker was heard last.
type BuildBeat struct {
	Worker  string   `json:"worker"`
	Claim   string   `json:"claim"`    // of the record
	AckWait Duration `json:"ack_wait"` // after so long without one another worker takes over
}

// Silent tells whether a worker is missing that was heard so long ago: it is heard ten times in AckWait.
func (b *BuildBeat) Silent(heard time.Duration) bool { return heard > b.AckWait.Std()/3 }
