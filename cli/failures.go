package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/fenceline/fenceline/messages"
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
func writeFailedRollout(w io.Writer, r *messages.RolloutRecord) {
	fmt.Fprintf(w, "  last rollout %s: %s %s: %s\n", r.ID, r.State, ago(r.Updated), r.Why)
	if r.State == messages.RolloutRolledBack {
		fmt.Fprintf(w, "    fix: mend the image and push; was it not the image: fenceline promote %s %s\n", r.Fleet, r.Ready.Image.Digest())
		return
	}
	if r.FailedInSoak() {
		fmt.Fprintf(w, "    fix: the fleet did not go back from it: mend the image, push, and let that follow: fenceline release %s; where the fleet has an earlier image: fenceline rollback %s\n", r.Fleet, r.Fleet)
		return
	}
	fmt.Fprintf(w, "    fix: mend what it names and push; was it not the image: fenceline retry %s\n", r.Ready.Build)
}

// findingsShown is how many findings of a failure are listed where there is more to see.
const findingsShown = 3

// writeFailed writes a build's failure in short: the rest is in its log.
func (b *buildRow) writeFailed(w io.Writer) {
	fmt.Fprintf(w, "pipeline %s: no image since build %s failed %s\n", b.Pipeline, b.Build, ago(latest(b.Received, b.Updated)))
	f := *b.Failure
	f.Detail = ""
	if more := len(f.Findings) - findingsShown; more > 0 {
		f.Findings = f.Findings[:findingsShown:findingsShown]
		f.Findings = append(f.Findings, messages.Finding{File: "and", Problem: fmt.Sprintf("%d more", more), Fix: "fenceline logs " + b.Build})
	}
	writeFailure(w, &f, b.Build)
}

// writeEnd writes how a build ended.
func writeEnd(w io.Writer, r *messages.BuildRecord) {
	fmt.Fprintf(w, "%s: %s", r.Build, r.State)
	if r.Image != "" {
		fmt.Fprintf(w, ": %s", r.Image)
	}
	fmt.Fprintln(w)
	if r.Failure != nil {
		writeFailure(w, r.Failure, r.Build)
	}
}

// writeFailure writes why a build failed: cause, place, findings, what it printed, fix; and
// what to run then.
func writeFailure(w io.Writer, f *messages.Failure, build string) {
	for _, x := range f.Findings {
		fmt.Fprintf(w, "  %s\n", x)
	}
	if len(f.Findings) == 0 { // they have place, cause and fix, each its own
		if f.Place != "" {
			fmt.Fprintf(w, "  at %s\n", f.Place)
		}
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(f.Reason, "\n", "\n  "))
		if f.Detail != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(strings.TrimRight(f.Detail, "\n"), "\n", "\n    "))
		}
	}
	for _, line := range remedy(f, build) {
		fmt.Fprintf(w, "  %s\n", line)
	}
}

// remedy is what to do about a failure, and what to run then.
func remedy(f *messages.Failure, build string) []string {
	var out []string
	if f.Fix != "" && len(f.Findings) == 0 {
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
