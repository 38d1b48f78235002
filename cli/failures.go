package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/terminal"
)

// What has failed and is not made good yet, and what to do about it.

// failedBuilds are the builds that failed, the last of each pipeline, unless a later one of
// the pipeline has made an image. All is as allBuilds has it.
func failedBuilds(all []buildRow) []buildRow {
	last := map[string]*buildRow{}
	for i := range all {
		b := &all[i]
		if b.State != string(messages.BuildStateSucceeded) && b.Failure == nil {
			continue
		}
		if l := last[b.Pipeline]; l == nil || cmp.Or(cmp.Compare(b.Order, l.Order), b.Updated.Compare(l.Updated)) > 0 {
			last[b.Pipeline] = b
		}
	}
	out := []buildRow{}
	for _, pipeline := range sorted(last) {
		if b := last[pipeline]; b.Failure != nil {
			out = append(out, *b)
		}
	}
	return out
}

// failedRollout is the fleet's last rollout that failed or was rolled back, unless a later one
// was flipped to, or its image was made current all the same. One that failed in its soak may
// be current.
func failedRollout(all []messages.RolloutRecord, current messages.FleetImage) *messages.RolloutRecord {
	var last *messages.RolloutRecord
	for i := range all {
		switch r := &all[i]; r.State {
		case messages.RolloutFailed, messages.RolloutRolledBack,
			messages.RolloutFlipped, messages.RolloutSoaking, messages.RolloutDone:
			if last == nil || cmp.Or(cmp.Compare(r.Ready.Order, last.Ready.Order), r.Updated.Compare(last.Updated)) > 0 {
				last = r
			}
		}
	}
	if last == nil || last.State != messages.RolloutFailed && last.State != messages.RolloutRolledBack ||
		last.Ready.Image == current.Image && !last.FailedInSoak() || last.Ready.Order < current.Order {
		return nil
	}
	return last
}

// writeFailedRollout writes what became of a rollout, why, and what to do.
func writeFailedRollout(p *terminal.Page, r *messages.RolloutRecord) {
	p.Line("  last rollout %s: %s %s: %s", r.ID, r.State, ago(r.Updated), r.Why)
	if r.State == messages.RolloutRolledBack {
		p.Line("    fix: mend the image and push; was it not the image: fenceline promote %s %s", r.Fleet, r.Ready.Image.Digest())
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
func (b *buildRow) writeFailed(p *terminal.Page) {
	p.Line("pipeline %s: no image since build %s failed %s", b.Pipeline, b.Build, ago(latest(b.Received, b.Updated)))
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
		p.Line("  %s", labelled(x))
	}
	if !explained(f) {
		if f.Place != "" {
			p.Line("  at %s", f.Place)
		}
		p.Line("  %s", f.Reason)
		if f.Detail != "" {
			p.Text("    | ", f.Detail)
		}
	}
	for _, line := range remedy(f, build) {
		p.Line("  %s", line)
	}
}

// explained tells whether the findings say why: each has place, cause and fix. Warnings alone
// don't.
func explained(f *messages.Failure) bool {
	return slices.ContainsFunc(f.Findings, func(x messages.Finding) bool { return !x.Warning })
}

// labelled is a finding that is told from those that refuse an image where it is a warning.
func labelled(f messages.Finding) string {
	if f.Warning {
		return "warning: " + f.String()
	}
	return f.String()
}

// remedy is what to do about a failure, and what to run then.
func remedy(f *messages.Failure, build string) []string {
	var out []string
	if f.Fix != "" && !explained(f) {
		out = append(out, "fix: "+f.Fix)
	}
	switch {
	case strings.Contains(f.Fix, "fenceline retry"):
	case f.Class == messages.FailureUser || f.Class == messages.FailureHooks:
		out = append(out, "then push, or build the same again: fenceline retry "+build)
	default:
		out = append(out, "then run: fenceline retry "+build)
	}
	return out
}
