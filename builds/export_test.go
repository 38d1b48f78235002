package builds

import "time"

// KeepContexts has sweeps keep contexts of failed builds for a retry, and those that nobody asked for a
// build of, so long.
func (q *Queue) KeepContexts(retry, left time.Duration) { q.contextRetry, q.contextLeft = retry, left }
