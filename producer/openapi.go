package producer

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The document of the API, as OpenAPI 3.0.3 has it: what tools of any age read. It is made of the table of routes and of
// the types that they take and answer with.

type openAPI struct {
	OpenAPI    string                          `json:"openapi"`
	Info       openAPIInfo                     `json:"info"`
	Servers    []openAPIServer                 `json:"servers"`
	Tags       []openAPITag                    `json:"tags"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components components                      `json:"components"`
}

type openAPIInfo struct {
	Title       string            `json:"title"`
	Version     string            `json:"version"`
	Description string            `json:"description"`
	License     map[string]string `json:"license"`
}

type openAPIServer struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

type openAPITag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type operation struct {
	ID          string                `json:"operationId"`
	Summary     string                `json:"summary"`
	Description string                `json:"description"`
	Tags        []string              `json:"tags"`
	Security    []map[string][]string `json:"security"`
	Parameters  []parameter           `json:"parameters,omitempty"`
	Body        *content              `json:"requestBody,omitempty"`
	Answers     map[string]*content   `json:"responses"`
}

type parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Required    bool    `json:"required,omitempty"`
	Description string  `json:"description,omitempty"`
	Schema      *Schema `json:"schema"`
}

type content struct {
	Description string            `json:"description,omitempty"`
	Required    bool              `json:"required,omitempty"`
	Headers     map[string]header `json:"headers,omitempty"`
	Content     map[string]media  `json:"content"`
}

type header struct {
	Description string  `json:"description"`
	Schema      *Schema `json:"schema"`
}

type media struct {
	Schema *Schema `json:"schema"`
}

type components struct {
	Schemas map[string]*Schema           `json:"schemas"`
	Schemes map[string]map[string]string `json:"securitySchemes"`
}

// answersMean says what each status means.
var answersMean = map[int]string{
	http.StatusOK:                    "It is as asked for.",
	http.StatusAccepted:              "All that is named is durably stored.",
	http.StatusBadRequest:            "The request can't be read: the error names the field and the fix.",
	http.StatusUnauthorized:          "Who asks is not known: the token or the signature is missing or wrong.",
	http.StatusForbidden:             "Calls are switched off.",
	http.StatusNotFound:              "There is no such thing.",
	http.StatusRequestTimeout:        "The body did not arrive in time: send it again.",
	http.StatusConflict:              "A call with this Idempotency-Key is under way: send it again, after Retry-After.",
	http.StatusRequestEntityTooLarge: "The body has more bytes than any that is meant for here.",
	http.StatusUnsupportedMediaType:  "The body is encoded in a way that is not read.",
	http.StatusUnprocessableEntity:   "What is asked for can't be done: the error says why, and nothing is stored.",
	http.StatusTooManyRequests:       "Too much of this came from this address, or for this repository: nothing is stored. Send it again, after Retry-After.",
	http.StatusBadGateway:            "The repository can't be asked for its head: send it again, after Retry-After.",
	http.StatusServiceUnavailable:    "It can't be stored now: send it again, after Retry-After.",
}

// apiDocument is made once.
var apiDocument struct { //nolint:gochecknoglobals // a constant
	once sync.Once
	text []byte
}

// APIDocument is the OpenAPI document of what producers of this version serve.
func APIDocument() []byte {
	apiDocument.once.Do(func() {
		b, err := json.MarshalIndent(describe(new(Producer).routes()), "", "  ")
		if err != nil {
			panic(fmt.Sprintf("the document of the API always marshals: %v", err))
		}
		apiDocument.text = append(b, '\n')
	})
	return apiDocument.text
}

func (p *Producer) serveDocument(w http.ResponseWriter, _ *http.Request) {
	writeBody(w, http.StatusOK, APIDocument())
}

func describe(routes []route) *openAPI {
	d := &openAPI{
		OpenAPI: "3.0.3",
		Info: openAPIInfo{
			Title: "Fenceline producer", Version: "1",
			Description: "What a producer serves: webhooks of forges, calls with a token, and its state. The version is that of the paths; fields are added, and readers ignore those that they don't know.",
			License:     map[string]string{"name": "Apache-2.0"},
		},
		Servers:    []openAPIServer{{"/", "the producer that has this document"}},
		Tags:       []openAPITag{{tagHooks, "What forges send."}, {tagRegistries, "What registries tell of pushes."}, {tagCalls, "What people and programs ask for."}, {tagState, "What the producer says of itself."}},
		Paths:      map[string]map[string]operation{},
		Components: components{Schemas: map[string]*Schema{}, Schemes: map[string]map[string]string{}},
	}
	for _, r := range routes {
		if d.Paths[r.path] == nil {
			d.Paths[r.path] = map[string]operation{}
		}
		d.Paths[r.path][strings.ToLower(r.method)] = d.operation(r)
	}
	return d
}

func (d *openAPI) operation(r route) operation {
	o := operation{ID: r.id, Summary: r.summary, Description: r.description, Tags: []string{r.tag}, Security: []map[string][]string{}, Answers: map[string]*content{}}
	for _, by := range r.secured {
		o.Security = append(o.Security, map[string][]string{d.scheme(by): {}})
	}
	if _, in, ok := strings.Cut(r.path, "{"); ok {
		o.Parameters = append(o.Parameters, parameter{Name: strings.TrimSuffix(in, "}"), In: "path", Required: true, Schema: &Schema{Type: "string"}})
	}
	for _, h := range r.headers {
		o.Parameters = append(o.Parameters, parameter{Name: h.name, In: "header", Description: h.description, Schema: &Schema{Type: "string"}})
	}
	if r.body != nil {
		o.Body = &content{Required: true, Content: map[string]media{}}
		for _, kind := range r.bodyKinds {
			o.Body.Content[kind] = media{d.schema(reflect.TypeOf(r.body), kind == kindJSON)}
		}
	}
	for status, body := range r.answers {
		a := &content{Description: answersMean[status], Content: map[string]media{kindJSON: {d.schema(reflect.TypeOf(body), false)}}}
		if status == http.StatusConflict || status == http.StatusTooManyRequests || status == http.StatusBadGateway || status == http.StatusServiceUnavailable && body == (refusalAnswer{}) {
			a.Headers = map[string]header{"Retry-After": {"after how many seconds to send it again", &Schema{Type: "integer"}}}
		}
		o.Answers[strconv.Itoa(status)] = a
	}
	return o
}

// scheme names what proves who asks.
func (d *openAPI) scheme(by string) string {
	switch by {
	case bearerScheme, basicScheme:
		name := strings.ToLower(by)
		d.Components.Schemes[name] = map[string]string{"type": "http", "scheme": name}
		return name
	}
	d.Components.Schemes[by] = map[string]string{"type": "apiKey", "in": "header", "name": by}
	return by
}

// schema is that of a type: a reference to the component that has it, where it has a name. Closed says that it has no
// other fields.
func (d *openAPI) schema(t reflect.Type, closed bool) *Schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &Schema{Type: "string", Format: "date-time"}
	case t.Kind() == reflect.Pointer:
		return d.schema(t.Elem(), closed)
	case t.Kind() == reflect.Slice:
		return &Schema{Type: "array", Items: d.schema(t.Elem(), closed)}
	case t.Kind() == reflect.Map:
		return &Schema{Type: "object"}
	case t.Kind() == reflect.Bool:
		return &Schema{Type: "boolean"}
	case t.Kind() == reflect.String:
		return &Schema{Type: "string"}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return &Schema{Type: "integer", Format: "int64"}
	case t.Kind() != reflect.Struct:
		panic(fmt.Sprintf("the API's document has no word for %s", t))
	}
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if d.Components.Schemas[name] == nil {
		d.Components.Schemas[name] = d.object(t, closed)
	}
	return &Schema{Ref: "#/components/schemas/" + name}
}

func (d *openAPI) object(t reflect.Type, closed bool) *Schema {
	s := &Schema{Type: "object", Properties: map[string]*Schema{}}
	if closed {
		s.AdditionalProperties = false
	}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() {
			continue
		}
		part := d.schema(f.Type, closed)
		if part.Ref != "" { // what stands beside a reference is passed over
			part = &Schema{AllOf: []*Schema{part}}
		}
		part.Description = f.Tag.Get("doc")
		s.Properties[name] = part
		if !strings.Contains(options, "omit") {
			s.Required = append(s.Required, name)
		}
	}
	return s
}
