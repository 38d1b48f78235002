// Package people is what people decide about fleets and rollouts: the command line calls it, and
// each function's by names the person. A decision is made on the records, over NATS, and
// stands at once even where no controller runs; the fence config follows when one acts.
//
// The files, in reading order:
//
//	errors.go    why a decision was refused
//	rollback.go  Rollback: back to the previous image or one that is kept, and a hold
//	hold.go      Hold and Release: flips of a fleet stop, and go on
//	rollout.go   Approve and Abort: a person's word about one rollout
//	promote.go   Promote: an image that the nodes have becomes current
//	setbyhand.go  ReadFence and SetFence: the fence config itself, through the acting controller
//	presence.go  who has an image, by heartbeats that are heard from now on
//	retire.go    RetireNode and ForceRetireNode: a node leaves its fleet and what waits for it
//	saying.go    why a person decides so, and on what
//	mend.go      RepairFleet and SetOrder: a fleet's record that is broken, or has an order that none reaches
//	decision.go  how a decision is written and told
package people
