package decide

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/fenceline/fenceline/messages"
)

// What a rollout's record holds, so that it always fits a message: NATS takes 1 MiB unless
// told otherwise. Bytes are counted in the JSON.
const (
	// frozenMost bounds a record with its frozen members: 10,000 of the longest names fit.
	frozenMost = 720_000
	// listMost is how many failed members, and how many containers, are named.
	listMost = 200
	// reasonMost, containerMost and imageMost bound each text in these lists.
	reasonMost, containerMost, imageMost = 256, 128, 384
	// trialsMost bounds what the trials of all canaries say.
	trialsMost = 64_000
)

// size is how many bytes something takes in a record.
func size(v any) int {
	out, err := json.Marshal(v)
	if err != nil {
		return 0 // records and texts have nothing that JSON can't say
	}
	return len(out)
}

// fitText shortens a text until it takes at most so many bytes in a record.
func fitText(text string, most int) string { return fit(text, most, messages.Shorten) }

// fitTextEnd is fitText for an output, whose end tells most.
func fitTextEnd(text string, most int) string { return fit(text, most, messages.ShortenHead) }

// fit keeps less and less of a text until what is kept takes at most so many bytes in a record.
func fit(text string, most int, shorten func(string, int) string) string {
	out := text
	for keep := min(len(text), most); keep > 0 && size(out) > most; keep = keep * 7 / 8 {
		out = shorten(text, keep)
	}
	return out
}

// briefFailed is the failures that a record names, the first by the nodes' names.
func briefFailed(all map[string]string) map[string]string {
	out := map[string]string{}
	for _, node := range slices.Sorted(maps.Keys(all)) {
		if len(out) == listMost {
			break
		}
		out[node] = all[node]
	}
	return out
}

// briefTrial shortens a trial's texts to its share of what all trials may say. Done again it
// changes nothing.
func briefTrial(t messages.TrialResult, trials int) messages.TrialResult {
	share := trialsMost / trials / (len(t.Hooks) + 1)
	t.Reason, t.Hooks = fitTextEnd(t.Reason, share), slices.Clone(t.Hooks)
	for i := range t.Hooks {
		t.Hooks[i].Output = fitTextEnd(t.Hooks[i].Output, share)
	}
	return t
}

// tooMany says why members can't be frozen in a rollout's record, or "".
func tooMany(r *messages.RolloutRecord, members []string) string {
	frozen := *r
	frozen.Members, frozen.Curve = members, nil // which is small, and has room beside them
	if n := size(frozen); n > frozenMost {
		return fmt.Sprintf("the names of %d members don't fit a rollout's record (%d bytes with them, at most %d): make several fleets of them",
			len(members), n, frozenMost)
	}
	return ""
}
