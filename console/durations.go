package console

import (
	"html/template"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/fenceline/fenceline/overview"
)

const (
	// durationsMost is how many builds a picture shows, and picturesMost how many pictures a page has where no pipeline is chosen.
	durationsMost = 60
	picturesMost  = 6
	// The size of a picture, in the units of its own.
	pictureWidth, pictureHeight, pictureLeft, pictureFoot = 640, 190, 60, 24
	// barHead is the room above bars, for their signs.
	barHead = 18
)

// durations is a picture of how long a pipeline's builds took.
type durations struct {
	Pipeline      string
	Bars          []bar
	Lines         []pictureLine
	Width, Height int
	Left, Bottom  int
	From, To      time.Time
	Median, Most  string
}

// bar is a build in a picture.
type bar struct {
	endedBuild
	Sign                string
	X, Y, Width, Height float64
	Middle              float64
}

// pictureLine is a line across a picture, at a time.
type pictureLine struct {
	Y, TextY float64
	Says     string
}

// durationsPart is what a page shows of how long builds took: of one pipeline, or of those that built last.
func (c *Console) durationsPart(pipeline string) template.HTML {
	return c.endings.get(partKey{"durations", pipeline, false}, c.seen.ended.now(), func() template.HTML { return c.drawDurations(pipeline) })
}

func (c *Console) drawDurations(pipeline string) template.HTML {
	all := c.seen.ended.durations(pipeline, durationsMost)
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return all[b][len(all[b])-1].Ended.Compare(all[a][len(all[a])-1].Ended)
	})
	more := max(0, len(names)-picturesMost)
	var pictures []durations
	for _, name := range names[:len(names)-more] {
		pictures = append(pictures, draw(name, all[name]))
	}
	return c.render("durations", map[string]any{"Pictures": pictures, "More": more})
}

// draw draws the builds of a pipeline, the oldest first: each a bar with its state's sign above.
func draw(pipeline string, all []endedBuild) durations {
	d := durations{
		Pipeline: pipeline, Width: pictureWidth, Height: pictureHeight, Left: pictureLeft, Bottom: pictureHeight - pictureFoot,
		From: all[0].Ended, To: all[len(all)-1].Ended,
	}
	took := make([]time.Duration, 0, len(all))
	for _, b := range all {
		took = append(took, b.Took)
	}
	slices.Sort(took)
	most, median := took[len(took)-1], took[len(took)/2]
	d.Most, d.Median = overview.Took(most), overview.Took(median)
	height := func(t time.Duration) float64 { return tenth(float64(d.Bottom-barHead) * float64(t) / float64(most)) }
	step := float64(pictureWidth-pictureLeft) / float64(max(len(all), 20))
	for i, b := range all {
		h := max(height(b.Took), 1)
		x := float64(pictureLeft) + float64(i)*step
		d.Bars = append(d.Bars, bar{b, buildSign(b.State), tenth(x), float64(d.Bottom) - h, tenth(step * 0.7), h, tenth(x + step*0.35)})
	}
	for _, t := range slices.Compact([]time.Duration{most, median}) {
		y := tenth(float64(d.Bottom) - height(t))
		d.Lines = append(d.Lines, pictureLine{y, y + 4, overview.Took(t)})
	}
	if len(d.Lines) == 2 && d.Lines[1].Y-d.Lines[0].Y < 14 { // they would lie on each other
		d.Lines = d.Lines[1:]
	}
	return d
}

func tenth(f float64) float64 { return math.Round(f*10) / 10 }
