package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ScheduleRecord is what producers share of one schedule of a pipeline, in the triggers bucket under ScheduleKey. Whoever
// writes that a time has come, by revision, asks for its build; another one goes on with that if it dies.
type ScheduleRecord struct {
	Pipeline string `json:"pipeline"`
	Schedule string `json:"schedule"`         // its expression and zone, for people
	Branch   string `json:"branch,omitempty"` // that it has built
	// Last is the time of the schedule that came last and was seen to, or of what it was not older than: of a new one, when it was first seen.
	Last time.Time `json:"last"`
	// Build is what Last led to. It has its ID before it is asked for, so that it is asked for once. "" where none came yet.
	Build string `json:"build,omitempty"`
	Asked bool   `json:"asked,omitempty"` // the request of Build is stored
	// Tried is when that was tried last, by the clock of NATS, and Tries how often it was.
	Tried time.Time `json:"tried,omitzero"`
	Tries int       `json:"tries,omitempty"`
	// Problem is why the last try failed, for people.
	Problem string `json:"problem,omitempty"`
}

// Pending tells whether its build is still to be asked for.
func (r *ScheduleRecord) Pending() bool { return r.Build != "" && !r.Asked }

// ScheduleKey is the key of a schedule's record. Another expression, zone or branch is another schedule.
func ScheduleKey(pipeline, expression, zone, branch string) string {
	sum := sha256.Sum256([]byte(expression + "\n" + zone + "\n" + branch))
	return "schedule." + pipeline + "." + hex.EncodeToString(sum[:8])
}
