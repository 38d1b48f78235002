package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/controller/decide"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
)

// The decisions about a fleet.
const (
	actHold     = "hold"
	actRelease  = "release"
	actRollback = "rollback"
	actPromote  = "promote"
)

// fleetDecision is a decision about a fleet.
type fleetDecision struct {
	action string
	fleet  string
	to     string // the image to go to, where one was named
	record messages.FleetRecord
}

var _ decision = (*fleetDecision)(nil)

func fleetAction(r *http.Request) decision {
	action := r.PathValue("action")
	if !slices.Contains([]string{actHold, actRelease, actRollback, actPromote}, action) {
		return nil
	}
	return &fleetDecision{action: action, fleet: r.PathValue("fleet"), to: r.FormValue("to")}
}

func (d *fleetDecision) read(ctx context.Context, c *Console) (err error) {
	d.record, err = readFleet(ctx, c, d.fleet)
	return err
}

// readFleet reads a fleet's record as it is now.
func readFleet(ctx context.Context, c *Console, fleet string) (messages.FleetRecord, error) {
	if err := messages.CheckName("fleet", fleet); err != nil {
		return messages.FleetRecord{}, err
	}
	e, err := store.Fleets(c.queue).Current(ctx, fleet)
	if err != nil {
		return messages.FleetRecord{}, fmt.Errorf("reading fleet %s: %w", fleet, err)
	}
	return e.Value, nil
}

func (d *fleetDecision) title() string {
	if d.action == actRollback {
		return "Roll back fleet " + d.fleet
	}
	return capital(d.action) + " fleet " + d.fleet
}

// capital is a word as it begins a sentence.
func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

func (d *fleetDecision) subject() string { return "fleet " + d.fleet }

func (d *fleetDecision) told() messages.DecisionMade {
	return messages.DecisionMade{Action: d.action, Fleet: d.fleet, To: d.to}
}

func (d *fleetDecision) needsReason() bool { return true }

func (d *fleetDecision) page() string { return "/fleets/" + d.fleet }

// exists is true: one that is not can't be read.
func (d *fleetDecision) exists() bool { return true }

func (d *fleetDecision) facts() []fact { return factsOfFleet(&d.record) }

// factsOfFleet are what decisions about a fleet are made by: what is current, what it would go back to, and who holds it.
func factsOfFleet(f *messages.FleetRecord) []fact {
	current := fact{Of: "the current image", Is: fmt.Sprintf("%s (epoch %d)", cmp.Or(string(f.Current.Image), "none"), f.Epoch)}
	if d := f.Decided; d != nil && d.Epoch == f.Epoch {
		current.By = d.By + ": " + d.Reason
	}
	hold := fact{Of: "the hold", Is: "none"}
	if h := f.Hold; h != nil {
		hold.Is = fmt.Sprintf("that of %s since %s: %s", h.By, exact(h.At), h.Reason)
		hold.named, hold.of = true, h.At.UTC().Format(time.RFC3339Nano)
	} else if r := f.Released; r != nil {
		hold.By, hold.of = "released by "+r.By, r.Held.UTC().Format(time.RFC3339Nano)
		if r.Reason != "" {
			hold.By += ": " + r.Reason
		}
	}
	return []fact{{Of: "the fleet's record", Is: cmp.Or(f.ID, "one without an ID")}, current, {Of: "the previous image", Is: cmp.Or(string(f.Previous.Image), "none")}, hold}
}

func (d *fleetDecision) carryOut(ctx context.Context, c *Console, by, reason string) (string, error) {
	facts := d.facts()
	ctx = people.OnlyAs(ctx, func(f *messages.FleetRecord) bool { return same(facts, factsOfFleet(f)) })
	var f messages.FleetRecord
	var err error
	switch d.action {
	case actHold:
		_, err = people.Hold(ctx, c.queue, d.fleet, reason, by)
		return "Fleet " + d.fleet + " is held: later images are preloaded, not flipped.", err
	case actRelease:
		_, err = people.Release(ctx, c.queue, d.fleet, by)
		return "Fleet " + d.fleet + " is released: the newest image that waits follows.", err
	case actRollback:
		f, err = people.Rollback(ctx, c.queue, d.fleet, d.to, by)
		return fmt.Sprintf("Fleet %s is rolled back: %s is current (epoch %d), and the fleet is held until it is released.", d.fleet, f.Current.Image, f.Epoch), err
	default:
		f, err = people.Promote(ctx, c.queue, d.fleet, d.to, by)
		return fmt.Sprintf("%s is current in fleet %s (epoch %d).", f.Current.Image, d.fleet, f.Epoch), err
	}
}

func (d *fleetDecision) foresee(c *Console, p *preview) {
	f := &d.record
	switch d.action {
	case actHold:
		p.Will = []string{"No later image is flipped to until somebody releases the fleet. Later images are still preloaded.", "What is current stays so."}
		if h := f.Hold; h != nil {
			p.not("The fleet is held already, by %s: %s", h.By, h.Reason)
		}
	case actRelease:
		p.Will = []string{"The newest image that waits is flipped to, once its policy holds."}
		if h := f.Hold; h == nil {
			p.not("The fleet has no hold.")
		} else {
			p.Will = append(p.Will, fmt.Sprintf("The hold of %s ends: %s", h.By, h.Reason))
		}
	default:
		d.chooseImage(c.seen, p)
	}
	p.count(c.seen, f)
}

// chooseImage lists the images that a fleet can go to, and takes the one that was asked for, or the first.
func (d *fleetDecision) chooseImage(seen *seen, p *preview) {
	f := &d.record
	p.From = f.Current.Image
	for i, k := range decide.Kept(f) {
		is := "kept"
		if i == 0 && k == f.Previous {
			is = "previous"
		}
		p.choose(k, is, d.to)
	}
	p.Will = []string{"The image becomes current at once, and the fleet is held until somebody releases it."}
	if d.action == actPromote {
		p.Will = []string{"The image becomes current once a quorum of the nodes has said in new heartbeats that they have it. A hold stays."}
		seen.look(func() {
			for _, r := range seen.rolloutsOf(f.Fleet) {
				p.choose(decide.ImageOf(&r), "rollout, "+string(r.State), d.to)
			}
		})
	}
	i := slices.IndexFunc(p.Choices, func(c choice) bool { return c.Chosen })
	if i < 0 && len(p.Choices) > 0 && d.to == "" {
		i = 0
		p.Choices[0].Chosen = true
	}
	switch {
	case i >= 0:
		p.To = p.Choices[i].Image
	case len(p.Choices) == 0:
		p.not("The fleet has no other image to go to yet.")
	default:
		p.not("The fleet has no such image to go to: choose one that it has.")
	}
}
