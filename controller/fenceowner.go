package controller

import (
	"fmt"
	"slices"

	"github.com/fenceline/fenceline/fence"
)

// owner is the fleet whose setting a place holds that has one setting alone: the one that was first driven
// there, as its record says, or the first of those that come to it. Any other would fight it.
func (c *Controller) owner(place fence.Place, fleet string) string {
	if !place.Sole {
		return fleet
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if o, ok := c.owners[place.Kind]; ok && c.livesIn(o, place.Kind) {
		return o
	}
	owner := fleet
	var settled []string
	for _, name := range c.views.fleetNames() {
		if a := c.views.fleet(name).Applied; a.Store == place.Kind && a.Epoch > 0 && c.livesIn(name, place.Kind) {
			settled = append(settled, name)
		}
	}
	if len(settled) > 0 {
		owner = slices.Min(settled)
	}
	c.owners[place.Kind] = owner
	return owner
}

// livesIn tells whether a fleet that has an image has its fence config in a kind of place.
func (c *Controller) livesIn(fleet, kind string) bool {
	r := c.views.fleet(fleet)
	if r.Epoch == 0 {
		return false
	}
	p, err := c.Backend(fleet, r.Fence)
	return err == nil && p.Kind == kind
}

// taken is why a fleet may not live in a place.
func taken(kind, owner string) error {
	return fmt.Errorf("%s holds one image, which is that of fleet %s: give this fleet another place, by fence in the pipeline file", kind, owner)
}
