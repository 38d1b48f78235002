package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

//go:embed web
var web embed.FS

// pages are the templates. They escape what they are given for the place where it stands. Every process of the program has this
// package, and most show no page: the templates take half a megabyte.
var pages = sync.OnceValue(func() *template.Template { //nolint:gochecknoglobals // a constant
	return template.Must(template.New("").Funcs(template.FuncMap{
		"text":     terminal.Visible, // for what came from outside: what a terminal would obey is seen, not obeyed
		"timed":    timed,
		"short":    overview.Short,
		"size":     messages.Size,
		"digest":   overview.ShortDigest,
		"when":     when,
		"ref":      messages.ShownRef,
		"asset":    func(name string) string { return "/assets/" + assetVersion + "/" + name },
		"sign":     signOf,
		"count":    overview.Counted,
		"state":    buildSign,
		"commit":   overview.ShortCommit,
		"stepsign": stepSign,
		"lead":     reasonLink,
		"took":     overview.Took,
		"lines":    diffLines,
		"trim":     func(most int, s string) string { return messages.Shorten(s, most) },
	}).ParseFS(web, "web/*.html"))
})

// when is a moment: exact for whoever hovers over it or has no script, and how long ago it is for whoever has.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // numbers alone
		t.Format(time.RFC3339), t.Format(exactLayout), t.Format("2006-01-02 15:04 UTC")))
}

// assetVersion tells versions of the style and the script apart, so that browsers may keep them.
var assetVersion = hashOf("web/style.css", "web/live.js") //nolint:gochecknoglobals // of what is embedded

func hashOf(names ...string) string {
	h := sha256.New()
	for _, name := range names {
		b, err := fs.ReadFile(web, name)
		if err != nil {
			panic(err) // it is embedded
		}
		_, _ = h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// assets serves the style, the script and the picture, which nobody has to sign in for.
func assets() http.Handler {
	kinds := map[string]string{"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, known := kinds[r.PathValue("name")]
		if !known {
			http.NotFound(w, r)
			return
		}
		b, err := fs.ReadFile(web, "web/"+r.PathValue("name"))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(b) //nolint:gosec // embedded; a browser that is gone needs none
	})
}

// view is what every page shows.
type view struct {
	Title   string
	Person  *Person // who looks; nil before they have signed in
	Path    string
	Events  string // the path of the page's changes, or "" for a page that has none
	Banner  template.HTML
	Outcome *outcome // of the decision that led here
	Trace   string   // the ID by which the log has the request
}

// view begins a page.
func (c *Console) view(r *http.Request, s *session, title string) view {
	v := view{Title: title, Path: r.URL.Path, Trace: traceOf(r)}
	if s != nil {
		v.Person, v.Outcome = &s.person, s.takeOutcome()
		v.Banner = c.banner()
	}
	return v
}

// banner says that what is shown is not the present.
func (c *Console) banner() template.HTML {
	c.seen.mu.RLock()
	defer c.seen.mu.RUnlock()
	return c.render("banner", map[string]any{"Away": c.seen.away, "Why": c.seen.why, "Reading": !c.seen.caught()})
}

// render makes a part of a page.
func (c *Console) render(name string, v any) template.HTML {
	var b bytes.Buffer
	if err := pages().ExecuteTemplate(&b, name, v); err != nil {
		c.log.Error().Err(err).Str("part", name).Msg("a part of a page can't be made")
		return ""
	}
	return template.HTML(b.String()) //nolint:gosec // a template made it
}

// write answers with a page.
func (c *Console) write(w http.ResponseWriter, status int, name string, v any) {
	var b bytes.Buffer
	if err := pages().ExecuteTemplate(&b, name, v); err != nil {
		c.broken(w, name, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a browser that is gone needs none
}

// broken answers where a page can't be made.
func (c *Console) broken(w http.ResponseWriter, name string, err error) {
	c.log.Error().Err(err).Str("page", name).Msg("a page can't be made")
	http.Error(w, "this page can't be made: the console's log says why", http.StatusInternalServerError)
}

// failView is a page that says why there is no other.
type failView struct {
	view
	Says string
}

// fail answers with what is wrong, and what to do.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, s *session, status int, says string) {
	c.write(w, status, "fail.html", failView{c.view(r, s, http.StatusText(status)), says})
}
