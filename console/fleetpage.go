package console

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/fnv"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
)

const (
	// perPage is how many nodes a page shows where nothing else is asked for, and maxPerPage how many it can.
	perPage    = 2_000
	maxPerPage = 10_000
	// filterMost bounds a filter, in bytes.
	filterMost = 200
)

// filter says which of a fleet's nodes a page shows.
type filter struct {
	State nodeState
	Label string // KEY or KEY=VALUE
	Image string // part of name@digest of an image that the node has
	Text  string // part of its name or of what its cell says
	Page  int    // from 1
	Per   int
}

// readFilter takes a filter from a page's address. What can't be meant is left out.
func readFilter(v url.Values) filter {
	word := func(name string) string { return messages.Shorten(strings.TrimSpace(v.Get(name)), filterMost) }
	number := func(name string, least, most, otherwise int) int {
		n, err := strconv.Atoi(v.Get(name))
		if err != nil {
			return otherwise
		}
		return min(max(n, least), most)
	}
	f := filter{
		State: nodeState(word("state")), Label: word("label"), Image: word("image"), Text: word("text"),
		Page: number("page", 1, 1_000_000, 1), Per: number("per", 10, maxPerPage, perPage),
	}
	if signOf(f.State) == "" {
		f.State = ""
	}
	return f
}

// all tells whether nothing is filtered.
func (f *filter) all() bool { return f.State == "" && f.Label == "" && f.Image == "" && f.Text == "" }

// takes tells whether a node is shown.
func (f *filter) takes(n *node) bool {
	if f.State != "" && n.state != f.State {
		return false
	}
	if f.Label != "" {
		key, value, exact := strings.Cut(f.Label, "=")
		if n.Status == nil {
			return false
		}
		if has, known := n.Status.Labels[key]; !known || exact && has != value {
			return false
		}
	}
	if f.Image != "" && (n.Status == nil || !slices.ContainsFunc(n.Status.Images, func(i messages.PresentImage) bool { return strings.Contains(string(i.Image), f.Image) })) {
		return false
	}
	return f.Text == "" || strings.Contains(n.Node.Node, f.Text) || f.Text != "" && strings.Contains(strings.ToLower(n.Doing()), strings.ToLower(f.Text))
}

// query is the filter as a page's address has it, with another page.
func (f *filter) query(page int) string {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("state", string(f.State))
	set("label", f.Label)
	set("image", f.Image)
	set("text", f.Text)
	if page > 1 {
		v.Set("page", strconv.Itoa(page))
	}
	if f.Per != perPage {
		v.Set("per", strconv.Itoa(f.Per))
	}
	return v.Encode()
}

// chosen are the nodes of a page, and how many there are on all. What is returned must not be changed. It is called while
// nothing can change.
func (f *filter) chosen(of *fleet) (nodes []*node, total int) {
	all := of.order
	if !f.all() {
		all = nil
		for _, n := range of.order {
			if f.takes(n) {
				all = append(all, n)
			}
		}
	}
	from := min((f.Page-1)*f.Per, len(all))
	return all[from:min(from+f.Per, len(all))], len(all)
}

// fingerprint tells lists of nodes apart.
func fingerprint(nodes []*node) string {
	h := fnv.New64a()
	for _, n := range nodes {
		_, _ = h.Write([]byte(n.Node.Node))
		_, _ = h.Write([]byte{0})
	}
	return strconv.FormatUint(h.Sum64(), 36)
}

// fleetPageView is the page of a fleet.
type fleetPageView struct {
	view
	Fleet        string
	Head         template.HTML
	Cells        []string
	Total, First int
	Last         int
	Filter       filter
	States       []stateCount // to filter by
	Before, Next string       // addresses of the pages beside this one, or ""
}

// cellsHere stands in a page where its cells are to be: they are sent from where they are, as a page of ten thousand would be
// copied several times else. Nothing from outside can look like it, as all that is escaped.
const cellsHere = "<cells-here>"

// CellsHTML is where the cells are to be.
func (*fleetPageView) CellsHTML() template.HTML { return cellsHere }

// knownFleet looks a fleet up for a page; it answers where there is none.
func (c *Console) knownFleet(w http.ResponseWriter, r *http.Request, s *session) (name string, ok bool) {
	c.settled(r)
	name = r.PathValue("fleet")
	c.seen.look(func() {
		f := c.seen.fleets[name]
		ok = f != nil && f.short != nil
	})
	if !ok {
		c.fail(w, r, s, http.StatusNotFound, fmt.Sprintf("There is no fleet %q. It begins with a node's first heartbeat.", messages.Shorten(name, filterMost)))
	}
	return name, ok
}

func (c *Console) fleetPage(w http.ResponseWriter, r *http.Request, s *session) {
	name, ok := c.knownFleet(w, r, s)
	if !ok {
		return
	}
	f := readFilter(r.URL.Query())
	made, sent, free := c.makers.begin(r.Context(), s.person.By(), c.cellsOf(name, &f))
	if !free {
		w.Header().Set("Retry-After", "5")
		c.fail(w, r, s, http.StatusServiceUnavailable, "Too many large pages are being made: wait some seconds and load it again, or ask for fewer nodes on a page.")
		return
	}
	defer sent()
	defer made()
	v := &fleetPageView{view: c.view(r, s, "Fleet "+name), Fleet: name, Filter: f}
	c.seen.look(func() {
		of := c.seen.fleets[name]
		v.Head = c.fleetHead(of, s.mayDecide())
		nodes, total := f.chosen(of)
		v.Total, v.First, v.Last = total, min((f.Page-1)*f.Per+1, total), min((f.Page-1)*f.Per+len(nodes), total)
		v.Cells = make([]string, len(nodes))
		for i, n := range nodes {
			v.Cells[i] = n.cell
		}
		v.Events = fmt.Sprintf("/fleets/%s/events?since=%s-%d&list=%s&%s", name, c.instance, c.seen.clock, fingerprint(nodes), f.query(f.Page))
	})
	for _, d := range nodeStates {
		v.States = append(v.States, stateCount{d.State, d.Sign, d.Says, 0})
	}
	if f.Page > 1 {
		v.Before = "/fleets/" + name + "?" + f.query(f.Page-1)
	}
	if v.Last < v.Total {
		v.Next = "/fleets/" + name + "?" + f.query(f.Page+1)
	}
	var page bytes.Buffer
	if err := pages().ExecuteTemplate(&page, "fleet.html", v); err != nil {
		c.broken(w, "fleet.html", err)
		return
	}
	made()
	before, after, _ := bytes.Cut(page.Bytes(), []byte(cellsHere))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	out := bufio.NewWriterSize(&patientWriter{w, http.NewResponseController(w), c.patience, time.Now().Add(sendMost)}, eventMost)
	_, _ = out.Write(before)
	for _, cell := range v.Cells {
		_, _ = out.WriteString(cell)
	}
	_, _ = out.Write(after)
	_ = out.Flush() // a browser that is gone, or does not read, needs none
}

// cellsOf is how many cells a page has at the most.
func (c *Console) cellsOf(fleet string, f *filter) (cells int) {
	c.seen.look(func() { cells = min(len(c.seen.fleets[fleet].order), f.Per) })
	return cells
}

// patientWriter writes for as long as the browser goes on reading.
type patientWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // with a piece
	until    time.Time     // all must be sent
}

// sendMost bounds how long a page is sent.
const sendMost = 2 * time.Minute

// Write sends a piece.
func (p *patientWriter) Write(b []byte) (int, error) {
	late := time.Now().Add(p.patience)
	if p.until.Before(late) {
		late = p.until
	}
	_ = p.control.SetWriteDeadline(late) // a connection that can't has none
	return p.w.Write(b)
}

// fleetHead is what stands above a fleet's nodes. It is called while nothing can change.
func (c *Console) fleetHead(f *fleet, decides bool) template.HTML {
	return c.parts.get(partKey{"head", f.name, decides}, f.clock, func() template.HTML { return c.render("head", c.seen.viewOf(f, decides)) })
}

// fleetStream is an open page of a fleet. The nodes on it stay where they are: it tells of others that came instead.
type fleetStream struct {
	console *Console
	name    string
	filter  filter
	decides bool
	nodes   []*node // of the page
	total   int     // when it was opened
	stale   bool    // the page shows others, or there are others by now
	checked uint64  // the change that the list was held against last
}

func (c *Console) fleetEvents(w http.ResponseWriter, r *http.Request, s *session) {
	name, ok := c.knownFleet(w, r, s)
	if !ok {
		return
	}
	f := &fleetStream{console: c, name: name, filter: readFilter(r.URL.Query()), decides: s.mayDecide()}
	c.seen.look(func() {
		f.nodes, f.total = f.filter.chosen(c.seen.fleets[name])
		f.stale = fingerprint(f.nodes) != r.FormValue("list")
	})
	c.stream(w, r, s, f)
}

func (f *fleetStream) parts() (out []part) {
	seen := f.console.seen
	seen.look(func() {
		if of := seen.fleets[f.name]; of != nil {
			out = append(out, part{"head", f.console.fleetHead(of, f.decides)})
		}
	})
	return append(out, part{"known", f.console.render("known", f.stale)})
}

func (f *fleetStream) cells(since uint64, from int, to *bytes.Buffer) (now uint64, next int) {
	seen := f.console.seen
	seen.look(func() {
		now = seen.clock
		of := seen.fleets[f.name]
		if of == nil || of.clock <= since {
			return
		}
		f.stale = f.stale || slices.ContainsFunc(of.order, func(n *node) bool { return n.clock > since && f.lacks(n) })
		if f.checked < of.clock && f.filter.all() {
			f.checked = of.clock
			f.stale = f.stale || len(of.order) != f.total
		}
		for i, n := range f.nodes[from:] {
			if n.clock <= since {
				continue
			}
			if to.Len() >= eventMost {
				next = from + i
				return
			}
			to.WriteString(n.cell)
		}
	})
	return now, next
}

// lacks tells whether the filter takes a node by now that it did not take when the page was opened. Of those that fill more than the
// page that is not known: nothing is kept of the others.
func (f *fleetStream) lacks(n *node) bool {
	if f.filter.all() || len(f.nodes) != f.total || !f.filter.takes(n) {
		return false
	}
	_, shown := slices.BinarySearchFunc(f.nodes, n.Node.Node, func(a *node, name string) int { return strings.Compare(a.Node.Node, name) })
	return !shown
}
