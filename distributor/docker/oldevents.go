package docker

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/moby/moby/api/types/events"
)

// filters are those of a request, as the client writes them.
type filters map[string]map[string]bool

// filtersOf reads the filters of a request.
func filtersOf(query url.Values) filters {
	var f filters
	_ = json.Unmarshal([]byte(query.Get("filters")), &f) // there are none, or they are the client's own
	return f
}

// one is a value that is asked for, or "".
func (f filters) one(field string) string {
	for value := range f[field] {
		return value
	}
	return ""
}

// lets tells whether the filters let a value through.
func (f filters) lets(field, value string) bool { return len(f[field]) == 0 || f[field][value] }

// events follows what happens. An engine before Docker 1.10 doesn't say of what kind it is that something happened
// to, and filters less than it is asked to, or nothing.
func (o *oldCall) events() (*http.Response, error) {
	if !o.before(apiDigests) {
		return o.send()
	}
	wanted := filtersOf(o.r.URL.Query())
	// Without an end, such an engine takes 1970 for it, and may end at once.
	o.r.URL.RawQuery = url.Values{"until": {fmt.Sprint(time.Now().AddDate(10, 0, 0).Unix())}}.Encode()
	got, err := o.send()
	if err != nil || got.StatusCode != http.StatusOK {
		return got, err
	}
	from := got.Body
	r, w := io.Pipe()
	go func() { w.CloseWithError(tellEvents(from, w, wanted)) }()
	got.Body = struct {
		io.Reader
		io.Closer
	}{r, closers{from, r}}
	got.Header.Set("Content-Type", "application/json")
	return got, nil
}

// tellEvents writes those events that are wanted, as today's engines do, until there are no more.
func tellEvents(from io.Reader, to io.Writer, wanted filters) error {
	said, told := json.NewDecoder(from), json.NewEncoder(to)
	for {
		var old struct{ Status, ID string }
		if err := said.Decode(&old); err != nil {
			return err
		}
		is := events.Message{Type: kindOfEvent(old.Status), Action: events.Action(old.Status), Actor: events.Actor{ID: old.ID}}
		if !wanted.lets("type", string(is.Type)) || !wanted.lets("event", old.Status) || !wanted.lets("container", old.ID) {
			continue
		}
		if err := told.Encode(&is); err != nil {
			return err
		}
	}
}

// kindOfEvent is of what kind it is that something happened to.
func kindOfEvent(status string) events.Type {
	switch status {
	case "delete", "import", "pull", "push", "tag", "untag":
		return events.ImageEventType
	}
	return events.ContainerEventType
}

// closers are closed together.
type closers []io.Closer

// Close closes all.
func (c closers) Close() error {
	for _, one := range c {
		_ = one.Close()
	}
	return nil
}
