package decide

// Next is the one write that should come next for a fleet, or none: the first that a rule asks
// for. It is called again after each write, on what the records say then, so that a crash between
// any two writes leaves nothing half done that the next call would not see. A write of the fleet's
// record carries along whose turn it is to fetch.
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
		spread,        // what is current reaches the nodes that were not admitted before its flip
		giveTurns,     // one node after another fetches
		slimEnded,     // what is over names no members
	} {
		if out := rule(s); out.Fleet != nil || out.Rollout != nil {
			if out.Fleet != nil {
				out.Fleet.Firsts = s.firsts(out.Fleet)
				out.Fleet.Turns = s.turns(out.Fleet)
			}
			return out
		}
	}
	return Step{}
}
