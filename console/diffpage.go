package console

import (
	"context"
	"net/http"
	"strings"

	"github.com/fenceline/fenceline/imagediff"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// diffShown bounds the packages of a kind that the page lists.
const diffShown = 500

// diffView is the page that shows how two images differ.
type diffView struct {
	view
	A, B     string // the words that were given
	From, To overview.KnownImage
	Problem  string
	Diff     *imagediff.Diff // nil where there is none to show
	Packages imagediff.Packages
	More     int // packages that differ and are not listed
	Shared   int // layers
	Bytes    int64
}

// diffPage compares images that the records know, and no others: a page must not be a way to have this console ask hosts that
// whoever looks at it names.
func (c *Console) diffPage(w http.ResponseWriter, r *http.Request, s *session) {
	word := func(name string) string { return messages.Shorten(strings.TrimSpace(r.FormValue(name)), filterMost) }
	v := &diffView{view: c.view(r, s, "Compare images"), A: word("a"), B: word("b")}
	status := http.StatusOK
	if v.B != "" {
		if st, err := c.compare(r.Context(), s.person.By(), v); err != nil {
			status, v.Problem = st, terminal.Visible(err.Error())
		}
	}
	if r.Context().Err() != nil {
		return // nobody is there any more
	}
	c.write(w, status, "diff.html", v)
}

// compare fills in for a person how the images differ. The status is that of the error.
func (c *Console) compare(ctx context.Context, person string, v *diffView) (status int, err error) {
	known, err := c.knownImages(ctx)
	if err != nil {
		return http.StatusServiceUnavailable, err
	}
	if v.To, err = known.Find(v.B); err != nil {
		return http.StatusNotFound, err
	}
	if v.A == "" {
		v.From, err = known.Before(v.To)
	} else {
		v.From, err = known.Find(v.A)
	}
	if err != nil {
		return http.StatusNotFound, err
	}
	of := func(k overview.KnownImage) imagediff.Wanted {
		return imagediff.Wanted{Ref: string(k.Image), HooksDir: k.HooksDir}
	}
	if v.Diff, err = c.diffs.get(ctx, person, diffOf{of(v.From), of(v.To)}); err != nil {
		return http.StatusBadGateway, err
	}
	v.Packages, v.More = v.Diff.Packages, v.Diff.Packages.Unlisted
	v.Packages.Changed = firstOf(v.Packages.Changed, &v.More)
	v.Packages.Added = firstOf(v.Packages.Added, &v.More)
	v.Packages.Removed = firstOf(v.Packages.Removed, &v.More)
	v.Shared, v.Bytes = v.Diff.SharedLayers()
	return http.StatusOK, nil
}

// knownImages reads which images the records know, for one page at a time: with many builds that takes much room.
func (c *Console) knownImages(ctx context.Context) (*overview.Images, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	select {
	case c.diffs.reading <- struct{}{}:
		defer func() { <-c.diffs.reading }()
	case <-ctx.Done():
		return nil, errBusyReading
	}
	return overview.ReadImages(ctx, c.queue)
}

// firstOf are so many of a list as a page shows. The others are counted.
func firstOf[T any](all []T, more *int) []T {
	if len(all) <= diffShown {
		return all
	}
	*more += len(all) - diffShown
	return all[:diffShown]
}

// diffLine is a line of a text's difference.
type diffLine struct{ Kind, Text string }

// diffLines are those of a text.
func diffLines(text string) []diffLine {
	var out []diffLine
	for line := range strings.Lines(text) {
		kind := "same"
		switch line[0] {
		case '+':
			kind = "added"
		case '-':
			kind = "removed"
		case '@':
			kind = "at"
		}
		out = append(out, diffLine{kind, strings.TrimSuffix(line, "\n")})
	}
	return out
}
