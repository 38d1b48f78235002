// Package decide says what comes next for a fleet. It is pure: from a State, which is all that
// a controller knows of the fleet, Next makes the one write that should come next, and Compare
// says what a value of the fence config means. Nothing here reads a queue, a clock or a file,
// so that two controllers with the same state decide the same.
//
// The files, in reading order:
//
//	state.go     what a decision is based on, and what it is: State, Node and Step
//	next.go      Next: the rules in the order in which they are asked
//	openandflip.go   the rules that open the newest rollout, admit its nodes and flip it
//	ending.go    the rules that end what can't become current, and clear what is over
//	current.go   the rules about the rollout whose image is current
//	soak.go      the rule about a soak, and what counts as a failure in it
//	applying.go  how far nodes are with applying what was flipped, and what the policy asks of that
//	progress.go  how far a rollout is: who is present, who failed, who tried
//	curve.go     how far a rollout's members were, moment by moment, for people
//	waves.go     canaries and waves: which members are admitted, and how many at once
//	spread.go    the waves go on after the flip, for what is current
//	firsts.go    which node fetches first behind a mirror that nodes share
//	turns.go     whose turn it is to fetch, so that no more do at one time than the policy lets
//	reasons.go   what a rollout waits for, for people
//	outlook.go   what a rollout that began now would meet
//	compare.go   Compare: whose a value of the fence config is, and what to do about it
//	clocks.go    how long nodes are quiet and an image soaks, by the caller's clock
//	paces.go     how long nodes lack what soaks, use their turns, and a rollout comes no further
//	joining.go   whether the fleet has settled, so that its members can be frozen
//	record.go    changes of records that controllers and people share: forward, back, hold
//	events.go    the events that tell of a rollout or a decision
//	bounds.go    what a rollout's record holds of lists and texts, so that it fits a message
package decide
