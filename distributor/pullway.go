package distributor

import "github.com/fenceline/fenceline/messages"

// way is how this node fetches images: as it was told itself, or as its fleet says.
func (d *Distributor) way(r *messages.FleetRecord) messages.Pull {
	if d.cfg.Pull != nil {
		return d.cfg.Pull.For(d.cfg.Labels)
	}
	return r.Pull.For(d.cfg.Labels)
}

// mirror is the mirror that this node fetches from first and shares with others, or "".
func (d *Distributor) mirror(r *messages.FleetRecord) string {
	way := d.way(r)
	return way.Shared()
}
