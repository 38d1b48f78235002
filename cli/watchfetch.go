package cli

import (
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
)

// stepFetching is the step of a node that fetches an image.
const stepFetching = "fetching"

// fetchLineAfter is when a fetch has a line that has not come a tenth further since its last one.
const fetchLineAfter = 10 * time.Second

// fetched is the fetch that a node's last line told of.
type fetched struct {
	messages.ImageFetch
	at time.Time
}

// fetching tells how far a node is with what it fetches: at each tenth of it, or from time to time.
func (w *watcher) fetching(e queue.Entry[messages.NodeStatus], news bool) {
	f := e.Value.Fetching
	if f == nil {
		delete(w.fetches, e.Key)
		return
	}
	was := w.fetches[e.Key]
	switch moved := f.Bytes - was.Bytes; {
	case f.Bytes == 0, !news:
		return
	case was.Image != f.Image: // its first line
	case moved < 0: // another try
	case moved > 0 && f.Total > 0 && moved*10 >= f.Total:
	case moved > 0 && e.Created.Sub(was.at) >= fetchLineAfter:
	default:
		return
	}
	w.fetches[e.Key] = fetched{*f, e.Created}
	m := moment{
		Time: e.Created, Step: stepFetching, Fleet: e.Value.Fleet, Node: e.Value.Node, Image: f.Image,
		Bytes: f.Bytes, Total: f.Total, Rate: f.Rate, Layer: f.Layer, Text: overview.FetchProgress(f),
	}
	if work := e.Value.Work; work != nil && work.Image == f.Image {
		m.Rollout = work.Rollout
	}
	w.tell(m)
}
