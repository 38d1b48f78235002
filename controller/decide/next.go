package decide

// Next is the one write that should come next for a fleet, or none: the first that a rule asks
// for. It is called again after each write, on what the records say then, so that a crash between
// any two writes leaves nothing half done that the next call would not see.
func Next(s *State) Step {
	for _, rule := range []func(*State) Step{
		dropRetired,   // nothing waits for nodes that were retired
		followCurrent, // rollouts say which image is current
		markLeft,      // and which are so no more
		followSoak,    // a soak ends, or rolls back
		endPassed,     // rollouts end that can't become current any more
		clearEnded,    // the fleet's record names none that is over
		clearBases,    // nor bases that nobody needs
		openNewest,    // the newest rollout begins
		flipOrAdmit,   // and moves: more nodes, then the flip
	} {
		if out := rule(s); out.Fleet != nil || out.Rollout != nil {
			return out
		}
	}
	return Step{}
}
