package producer

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/rs/zerolog"
)

// apiRouter finds what the document says of a request.
var apiRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openapi3.NewLoader().LoadFromData(APIDocument())
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// asDocumented tells what the document of the API doesn't say of an answer. It describes no answer at a path that
// there is not, and to a method that the path doesn't take.
func asDocumented(r *http.Request, status int, h http.Header, body []byte) error {
	router, err := apiRouter()
	if err != nil {
		return err
	}
	asked := &http.Request{Method: r.Method, URL: &url.URL{Path: r.URL.Path}, Header: r.Header}
	found, params, err := router.FindRoute(asked)
	if err != nil {
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			return nil
		}
		return err
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: found},
		Status:                 status, Header: h, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// TestDocumentOfTheAPIIsSound holds the document to the specification, and to what a reader needs beyond it.
func TestDocumentOfTheAPIIsSound(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(APIDocument())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("it is no valid document: %v", err)
	}
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	d, ids := describe(p.routes()), map[string]bool{}
	for _, name := range d.undescribed() {
		t.Errorf("%s has no description", name)
	}
	for _, r := range p.routes() {
		if ids[r.id] {
			t.Errorf("%s %s: another operation has the ID %s", r.method, r.path, r.id)
		}
		ids[r.id] = true
		if doc.Paths.Value(r.path) == nil || doc.Paths.Value(r.path).GetOperation(r.method) == nil {
			t.Errorf("%s %s is served, and not in the document", r.method, r.path)
		}
	}
}

// TestDocumentIsServed, to anybody, and is the one that the command prints.
func TestDocumentIsServed(t *testing.T) {
	p := newProducer(t, &memoryQueue{}, zerolog.Nop())
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/openapi.json", nil))
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), APIDocument()) || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d, %d bytes, where the document has %d", w.Code, w.Body.Len(), len(APIDocument()))
	}
}

// TestUndescribedIsFound: the checks above can fail.
func TestUndescribedIsFound(t *testing.T) {
	type bare struct {
		Field string `json:"field"`
	}
	d := describe([]route{{method: http.MethodGet, path: "/new", answers: map[int]any{http.StatusOK: bare{}, http.StatusTeapot: bare{}}}})
	if got := strings.Join(slices.Sorted(slices.Values(d.undescribed())), ", "); got != "Bare.field, get /new, get /new 418" {
		t.Errorf("found %q", got)
	}
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"a status that isn't described": {"/v1/builds", `{"error": "x"}`, http.StatusTeapot},
		"a field of another type":       {"/v1/builds", `{"builds": "x"}`, http.StatusAccepted},
		"a field that is missing":       {"/v1/builds", `{}`, http.StatusAccepted},
	} {
		h := http.Header{"Content-Type": {kindJSON}}
		if asDocumented(httptest.NewRequest(http.MethodPost, c.path, nil), c.status, h, []byte(c.body)) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// undescribed names what the document says nothing of: fields and answers without a description.
func (d *openAPI) undescribed() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		for field, s := range d.Components.Schemas[name].Properties {
			if s.Description == "" {
				names = append(names, name+"."+field)
			}
		}
	}
	for path, operations := range d.Paths {
		for method, o := range operations {
			if o.ID == "" || o.Summary == "" || o.Description == "" || o.Tags[0] == "" || len(o.Answers) == 0 {
				names = append(names, method+" "+path)
			}
			for status, a := range o.Answers {
				if a.Description == "" {
					names = append(names, method+" "+path+" "+status)
				}
			}
		}
	}
	return names
}
