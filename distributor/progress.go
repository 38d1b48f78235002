package distributor

import (
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// progressInterval is how often at most a pull's progress has a heartbeat sent.
	progressInterval = 2 * time.Second
	// rateWindow is the time over which a pull's rate is taken.
	rateWindow = 4 * time.Second
)

// Progress is how far an engine is with a pull.
type Progress struct {
	Bytes int64  // fetched
	Total int64  // of the layers that it lacks, as far as their sizes are known; 0 where none is
	Layer string // the beginning of the ID or digest of the one that moved last
	From  string // the mirror or registry, where the engine is fed
}

// sample is how far a pull was at a time.
type sample struct {
	at    time.Time
	bytes int64
}

// pullView is a pull under way, as heartbeats tell of it.
type pullView struct {
	is      messages.ImageFetch
	told    time.Time   // when it had a heartbeat sent
	due     *time.Timer // that sends the next one; nil where none is owed
	samples []sample    // the oldest first, over rateWindow
}

// noteFetched notes how far this try is, for which earlier ones had fetched the bytes before for the
// preload. A heartbeat tells, soon and not too often.
func (d *Distributor) noteFetched(w want, before int64, p Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.fetching == nil || d.fetching.is.Image != w.Image {
		d.fetching = &pullView{told: now}
	}
	v := d.fetching
	is := messages.ImageFetch{Image: w.Image, Bytes: p.Bytes, Total: max(p.Total, p.Bytes), Layer: p.Layer, From: p.From, Rate: v.rate(now, p.Bytes)}
	if p.Total == 0 {
		is.Total = 0
	}
	changed := is.Bytes != v.is.Bytes || is.Layer != v.is.Layer || is.From != v.is.From || is.Total != v.is.Total
	v.is = is
	if d.worksOn(w) {
		work := *d.work
		work.Bytes = before + p.Bytes
		d.work = &work
	}
	if changed && v.due == nil {
		v.due = time.AfterFunc(progressInterval-now.Sub(v.told), func() { d.tellProgress(v) })
	}
}

// tellProgress has a heartbeat sent about a pull, where it is still under way.
func (d *Distributor) tellProgress(v *pullView) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fetching != v {
		return
	}
	v.due, v.told = nil, time.Now()
	signal(d.changed)
}

// rate takes a sample and returns the bytes a second since the oldest one of rateWindow.
func (v *pullView) rate(now time.Time, bytes int64) int64 {
	if n := len(v.samples); n == 0 || now.Sub(v.samples[n-1].at) >= rateWindow/8 {
		v.samples = append(v.samples, sample{now, bytes})
	}
	for len(v.samples) > 1 && now.Sub(v.samples[1].at) >= rateWindow {
		v.samples = v.samples[1:]
	}
	since := v.samples[0]
	if took := now.Sub(since.at); took >= rateWindow/8 {
		return int64(float64(max(bytes-since.bytes, 0)) / took.Seconds())
	}
	return 0
}

// fetchedBytes is how many were noted.
func (d *Distributor) fetchedBytes(w want) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.worksOn(w) {
		return d.work.Bytes
	}
	return 0
}

// fetchEnded notes that nothing is fetched.
func (d *Distributor) fetchEnded() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fetching != nil && d.fetching.due != nil {
		d.fetching.due.Stop()
	}
	d.fetching = nil
}

// fetchNow is the pull under way for a heartbeat, or nil. The caller holds mu.
func (d *Distributor) fetchNow() *messages.ImageFetch {
	if d.fetching == nil {
		return nil
	}
	is := d.fetching.is
	is.Rate = d.fetching.rate(time.Now(), is.Bytes)
	return &is
}
