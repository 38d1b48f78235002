package console

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

// The size of a curve's picture, in its own units, and the room beside what is drawn.
const (
	curveWide, curveHigh           = 480, 240
	curveLeft, curveRight          = 44, 14
	curveTop, curveBottom          = 16, 34
	curveInnerWide, curveInnerHigh = curveWide - curveLeft - curveRight, curveHigh - curveTop - curveBottom
	curveDot, curveSquare          = 3, 3
)

// curveView is how many members of a rollout had its image, and had applied it, over time.
type curveView struct {
	Points  []messages.CurvePoint
	Members int
	Needed  int       // members that make a quorum
	Flipped time.Time // zero where it was not
	Told    bool      // it is of events, which don't say who applied the image
	Running bool      // it goes on
}

// Applying tells whether anybody said what they apply.
func (v *curveView) Applying() bool {
	for _, p := range v.Points {
		if p.Applying > 0 {
			return true
		}
	}
	return false
}

// Last is the last point, or the zero one.
func (v *curveView) Last() messages.CurvePoint {
	if len(v.Points) == 0 {
		return messages.CurvePoint{}
	}
	return v.Points[len(v.Points)-1]
}

// most is the highest number that is drawn.
func (v *curveView) most() int {
	most := max(v.Members, v.Needed, 1)
	for _, p := range v.Points {
		most = max(most, p.Present, p.Applied)
	}
	return most
}

// span is the time from the first point to the last, and to the flip where that came later.
func (v *curveView) span() (from time.Time, length time.Duration) {
	from = v.Points[0].At
	to := v.Last().At
	if v.Flipped.After(to) {
		to = v.Flipped
	}
	if !v.Flipped.IsZero() && v.Flipped.Before(from) {
		from = v.Flipped
	}
	return from, max(to.Sub(from), time.Millisecond)
}

// Describe says in words what the picture shows.
func (v *curveView) Describe() string {
	first, last := v.Points[0], v.Last()
	_, length := v.span()
	says := fmt.Sprintf("Over %s the number of members that had the image went from %d to %d of %d; %d must have it.", roughly(length), first.Present, last.Present, v.Members, v.Needed)
	if v.Applying() {
		says += fmt.Sprintf(" In the end %d of the %d that say so had applied it.", last.Applied, last.Applying)
	}
	return says
}

// Picture draws the curve. Everything in it is a number, or a word that stands here.
func (v *curveView) Picture() template.HTML {
	from, length := v.span()
	most := v.most()
	x := func(at time.Time) float64 {
		return curveLeft + float64(at.Sub(from))/float64(length)*curveInnerWide
	}
	y := func(n int) float64 { return curveTop + curveInnerHigh - float64(n)/float64(most)*curveInnerHigh }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="curve" viewBox="0 0 %d %d" role="img" aria-labelledby="curve-title curve-desc"><title id="curve-title">Members that have the image, over time</title><desc id="curve-desc">%s</desc>`,
		curveWide, curveHigh, template.HTMLEscapeString(v.Describe()))
	line := func(class string, x1, y1, x2, y2 float64) {
		fmt.Fprintf(&b, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
	}
	text := func(anchor string, x, y float64, says string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(says))
	}
	const right, bottom = curveWide - curveRight, curveTop + curveInnerHigh
	line("axis", curveLeft, bottom, right, bottom)
	line("axis", curveLeft, curveTop, curveLeft, bottom)
	text("end", curveLeft-6, bottom+4, "0")
	text("end", curveLeft-6, curveTop+4, fmt.Sprint(most))
	text("start", curveLeft, bottom+16, "0 s")
	text("end", right, bottom+16, roughly(length))
	if v.Needed > 0 {
		line("quorum", curveLeft, y(v.Needed), right, y(v.Needed))
		text("start", curveLeft+6, y(v.Needed)+12, fmt.Sprintf("quorum %d", v.Needed))
	}
	if !v.Flipped.IsZero() {
		at := x(v.Flipped)
		line("flip", at, curveTop, at, bottom)
		text(map[bool]string{true: "end", false: "start"}[at > curveWide/2], at, curveTop-4, "flip")
	}
	v.draw(&b, "present", x, func(p messages.CurvePoint) float64 { return y(p.Present) }, func(x, y float64) {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="%d"/>`, x, y, curveDot)
	})
	if v.Applying() {
		v.draw(&b, "applied", x, func(p messages.CurvePoint) float64 { return y(p.Applied) }, func(x, y float64) {
			fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%d" height="%d"/>`, x-curveSquare, y-curveSquare, 2*curveSquare, 2*curveSquare)
		})
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // see above
}

// draw draws one line with a mark at each count.
func (v *curveView) draw(b *strings.Builder, class string, x func(time.Time) float64, y func(messages.CurvePoint) float64, mark func(x, y float64)) {
	fmt.Fprintf(b, `<g class="%s"><polyline points="`, class)
	for _, p := range v.Points {
		fmt.Fprintf(b, "%.1f,%.1f ", x(p.At), y(p))
	}
	b.WriteString(`"/>`)
	for _, p := range v.Points {
		mark(x(p.At), y(p))
	}
	b.WriteString("</g>")
}

// roughly is a time for people, in one unit or two.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
