package decide

// next is the one write that should come next for a fleet, or none. It is called again
// after each write, on what the records say then.
func Next(s *State) Step {
	for _, rule := range []func(*State) Step{
		dropRetired, followCurrent, markLeft, followSoak, endPassed, clearEnded, clearBases, openNewest, flipOrAdmit,
	} {
		if out := rule(s); out.Fleet != nil || out.Rollout != nil {
			return out
		}
	}
	return Step{}
}
