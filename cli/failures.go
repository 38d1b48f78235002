package cli

import (
	"fmt"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// What has failed and is not made good yet, and what to do about it.

// writeFailedRollout writes what became of a rollout, why, and what to do.
func writeFailedRollout(p *terminal.Page, r *messages.RolloutRecord) {
	p.Line("  last rollout %s: %s %s: %s", r.ID, r.State, overview.Ago(r.Updated), r.Why)
	if r.State == messages.RolloutRolledBack {
		p.Line("    fix: mend the image and push; was it not the image: fenceline promote %s %s", r.Fleet, r.Ready.Build) // a digest would be broken over two lines
		return
	}
	if r.FailedInSoak() {
		p.Line("    fix: the fleet did not go back from it: mend the image, push, and let that follow: fenceline release %s; where the fleet has an earlier image: fenceline rollback %s", r.Fleet, r.Fleet)
		return
	}
	p.Line("    fix: mend what it names and push; was it not the image: fenceline retry %s", r.Ready.Build)
}

// findingsShown is how many findings of a failure are listed where there is more to see.
const findingsShown = 3

// writeFailed writes a build's failure in short: the rest is in its log.
func writeFailed(p *terminal.Page, b *overview.Build) {
	p.Line("pipeline %s: no image since build %s failed %s", b.Pipeline, b.Build, overview.Ago(overview.Latest(b.Received, b.Updated)))
	f := *b.Failure
	f.Detail = ""
	if len(f.Findings) > findingsShown {
		more := 0
		for _, x := range f.Findings[findingsShown:] {
			more += max(1, x.More)
		}
		f.Findings = f.Findings[:findingsShown:findingsShown]
		f.Findings = append(f.Findings, messages.Finding{File: "and", Problem: fmt.Sprintf("%d more", more), Fix: "fenceline logs " + b.Build})
	}
	writeFailure(p, &f, b.Build)
}

// writeEnd writes how a build ended.
func writeEnd(p *terminal.Page, r *messages.BuildRecord) {
	end := fmt.Sprintf("%s: %s", r.Build, r.State)
	if r.Image != "" {
		end += ": " + string(r.Image)
	}
	p.Line("%s", end)
	if r.Reason != nil {
		p.Line("  reason: %s", r.Reason)
	}
	if r.Unchanged != "" {
		p.Line("  %s", r.Unchanged)
	}
	if r.Failure != nil {
		writeFailure(p, r.Failure, r.Build)
	}
}

// writeFailure writes why a build failed: cause, place, findings, what it printed, fix; and
// what to run then.
func writeFailure(p *terminal.Page, f *messages.Failure, build string) {
	for _, x := range f.Findings {
		p.Line("  %s", overview.Labelled(x))
	}
	if !overview.Explained(f) {
		if f.Place != "" {
			p.Line("  at %s", f.Place)
		}
		p.Line("  %s", f.Reason)
		if f.Detail != "" {
			p.Text("    | ", f.Detail)
		}
	}
	for _, line := range overview.Remedy(f, build) {
		p.Line("  %s", line)
	}
}
