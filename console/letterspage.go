package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

const (
	// lettersShown is how many dead letters a page lists.
	lettersShown = 50
	// letterMost bounds what a page shows of a dead letter's message, in bytes, and headerMost what it shows of one of its headers.
	letterMost, headerMost = 64 << 10, 2 << 10
	// headersShown bounds how many headers it shows.
	headersShown = 100
)

// letterLine is a dead letter in the list.
type letterLine struct{ overview.Letter }

// lettersView is a page of dead letters, the oldest first.
type lettersView struct {
	view
	Body template.HTML
}

// lettersList is what a page of dead letters lists.
type lettersList struct {
	Letters []letterLine
	First   bool   // none are before these
	Next    string // the address of those after them, or ""
	Full    bool
	Problem string
}

// fromOf is where a page of dead letters begins in their stream.
func fromOf(r *http.Request) uint64 {
	from, err := strconv.ParseUint(r.FormValue("from"), 10, 63)
	if err != nil {
		return 0
	}
	return from
}

func (c *Console) lettersPage(w http.ResponseWriter, r *http.Request, s *session) {
	from := fromOf(r)
	v := lettersView{view: c.view(r, s, "Dead letters"), Body: c.lettersBody(r.Context(), from, newKey())} // read anew: one may have gone just now
	v.Events = fmt.Sprintf("/dead-letters/events?from=%d", from)
	c.write(w, http.StatusOK, "letters.html", &v)
}

func (c *Console) lettersEvents(w http.ResponseWriter, r *http.Request, s *session) {
	from := fromOf(r)
	c.stream(w, r, s, onePart("letters", func() template.HTML {
		return c.lettersBody(r.Context(), from, fmt.Sprint(c.seen.side.is().mark))
	}))
}

// lettersBody is a page of dead letters. Mark tells states of them apart.
func (c *Console) lettersBody(ctx context.Context, from uint64, mark string) template.HTML {
	list, problem, _ := c.letters.get(ctx, fmt.Sprint(from), mark, func(ctx context.Context) (lettersList, error) {
		line := builds.New(c.queue)
		page, next, err := line.DeadLettersFrom(ctx, from, lettersShown)
		if err != nil {
			return lettersList{}, err
		}
		full, err := line.LettersFull(ctx)
		l := lettersList{Full: full, First: from == 0}
		for _, letter := range page {
			read := overview.NewLetter(letter)
			read.Headers, read.Body = nil, nil // its own page shows them
			l.Letters = append(l.Letters, letterLine{read})
		}
		if next > 0 {
			l.Next = fmt.Sprintf("/dead-letters?from=%d", next)
		}
		return l, err
	})
	list.Problem = problem
	return c.render("lettersbody", &list)
}

// letterView is a dead letter as its page shows it.
type letterView struct {
	view
	overview.Letter
	Content overview.Content
	Head    []header
	MoreOf  int // headers beside those
	Whole   error
	Decides bool
}

// header is a header of a dead letter's message.
type header struct{ Name, Value string }

func (c *Console) letterPage(w http.ResponseWriter, r *http.Request, s *session) {
	name := r.PathValue("letter")
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	l, err := builds.New(c.queue).DeadLetter(ctx, name)
	switch {
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		c.fail(w, r, s, http.StatusServiceUnavailable, terminal.Visible("The dead letter can't be read now: "+err.Error()))
		return
	case err != nil:
		c.fail(w, r, s, http.StatusNotFound, terminal.Visible(fmt.Sprintf("There is no dead letter %q: it was sent again or dropped, or never was.", messages.Shorten(name, filterMost))))
		return
	}
	v := letterView{view: c.view(r, s, "Dead letter "+name), Letter: overview.NewLetter(*l), Decides: s.mayDecide(), Whole: l.Whole()}
	v.Content = v.Letter.Content(letterMost)
	for _, key := range slices.Sorted(maps.Keys(l.Headers)) {
		v.Head = append(v.Head, header{messages.Shorten(key, headerMost), messages.Shorten(strings.Join(l.Headers[key], ", "), headerMost)})
	}
	if len(v.Head) > headersShown {
		v.Head, v.MoreOf = v.Head[:headersShown], len(v.Head)-headersShown
	}
	c.write(w, http.StatusOK, "letter.html", &v)
}
