package producer

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/sinks/form"
	"github.com/fenceline/fenceline/suggest"
	"github.com/fenceline/fenceline/yamlfile"
	"go.yaml.in/yaml/v3"
)

// Sinks are where events go, by a pipeline file, and what of it events are told with.
type Sinks struct {
	Sinks []form.Sink
	Site  form.Site
}

// LoadSinks reads of a pipeline file, or of a folder of them, where events go, and none of the secrets. The names of files
// count from the folder of the pipeline file.
func LoadSinks(path string) (Sinks, error) {
	l := &loading{elsewhere: true}
	p, err := l.pipelines(path)
	if err != nil {
		return Sinks{}, err
	}
	return p.outward(l.folder)
}

// outward are the sinks of a pipeline file in a folder.
func (p *Pipelines) outward(folder string) (Sinks, error) {
	out := Sinks{Site: form.Site{Console: p.console, Fleets: map[string][]string{}}}
	for _, d := range p.declared {
		for _, f := range d.pipeline.Fleets {
			out.Site.Fleets[d.pipeline.Name] = append(out.Site.Fleets[d.pipeline.Name], f.Fleet)
		}
	}
	for _, s := range p.sinks {
		if s.absent != nil {
			return Sinks{}, &yamlfile.InvalidError{Problems: []yamlfile.Problem{*s.absent}}
		}
		sink := s.sink
		for _, file := range []*string{&sink.URLFile, &sink.SecretFile, &sink.HeadersFile, &sink.CAFile} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(folder, *file)
			}
		}
		out.Sinks = append(out.Sinks, sink)
	}
	return out, nil
}

// declaredSink is a sink of a pipeline file.
type declaredSink struct {
	sink   form.Sink
	at     spot
	fleets *yaml.Node
	field  string
	absent *yamlfile.Problem // its template is not on this machine: nil where it is, or there is none
}

// sink reads one item of sinks.
func (d *document) sink(n *yaml.Node, field string) {
	x := declaredSink{at: d.spot(n), fleets: value(n, "fleets"), field: join(field, "fleets")}
	s := &x.sink
	format, severity := "", ""
	template, retry := "", messages.Duration(form.DefaultRetryFor)
	before := d.Troubles()
	d.mapping(n, field, []key{
		{"name", "give the sink a DNS label such as ops-chat", d.sinkName(s)},
		{"url", "", d.text(&s.URL, form.CheckURL)},
		{"url_file", "", d.text(&s.URLFile, checkNoAddress)},
		{"format", "", d.oneOf(&format, form.Formats())},
		{"template", "", d.text(&template, nil)},
		{"secret_file", "", d.text(&s.SecretFile, checkPasted)},
		{"headers_file", "", d.text(&s.HeadersFile, checkPasted)},
		{"ca_file", "", d.text(&s.CAFile, nil)},
		{"types", "", d.words(&s.Types, form.CheckType)},
		{"fleets", "", d.words(&s.Fleets, func(s string) error { return messages.CheckName("fleet", s) })},
		{"severity", "", d.oneOf(&severity, form.Severities())},
		{"retry_for", "", d.duration(&retry, messages.Duration(time.Minute))},
	})
	if d.Troubles() > before || d.schema != nil {
		return
	}
	s.Format, s.Severity, s.RetryFor = form.Format(format), form.Severity(severity), time.Duration(retry)
	if template != "" {
		d.template(&x, template, value(n, "template"), join(field, "template"))
	}
	d.fillSink(&x, n, field)
}

// oneOf reads one of some words.
func (d *document) oneOf(to *string, words []string) func(*yaml.Node, string) {
	return d.text(to, func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("%q is none of %s%s", clip(s), strings.Join(words, ", "), suggest.DidYouMean(s, words))
		}
		return nil
	})
}

// template reads the file of a template. A producer may not have it: what is read of the file by who sends events does.
func (d *document) template(x *declaredSink, name string, n *yaml.Node, field string) {
	x.sink.TemplateFile = name
	path := d.load.at(name)
	d.load.read[path] = stampOf(path)
	content, err := yamlfile.Content(path, "template")
	if err != nil {
		x.sink.Template = "{{json .Text}}" // by which the rest of the sink is checked
		before := len(d.Warnings)
		d.Warn(n, field, "%v: it must be there where the role statuses runs; relative names count from the folder of this file", err)
		if len(d.Warnings) > before {
			x.absent = &d.Warnings[before]
		} else {
			x.absent = &yamlfile.Problem{File: d.File, Line: n.Line, Field: field}
		}
		return
	}
	if x.sink.Template = string(content); strings.TrimSpace(x.sink.Template) == "" {
		d.Problem(n, field, "%s is empty: write what a sink is sent of an event", clip(name))
	}
}

// fillSink completes what sink read.
func (d *document) fillSink(x *declaredSink, n *yaml.Node, field string) {
	filled, err := x.sink.Fill()
	var at *form.FieldError
	if errors.As(err, &at) {
		node := value(n, at.Field)
		if node == nil {
			node = n
		}
		d.Problem(node, join(field, at.Field), "%v", at.Err)
		return
	}
	x.sink = filled
	if filled.URL != "" {
		if u, err := url.Parse(filled.URL); err == nil {
			if u.Scheme == "http" {
				d.Warn(value(n, "url"), join(field, "url"), "events go to %s without TLS, readable for who shares the network: give an https address", u.Host)
			}
			if filled.Format != form.CloudEvents && filled.Format != form.Matrix && strings.Contains(u.Host, ".") {
				d.Warn(value(n, "url"), join(field, "url"), "whoever has a chat's address can post there: put it into a file and name that as url_file")
			}
		}
	}
	if filled.Format == form.CloudEvents && filled.SecretFile == "" {
		d.Warn(n, join(field, "secret_file"), "events are not signed, so the sink can't know who sent them: name a file with a secret (make one: openssl rand -hex 32)")
	}
	d.sinks = append(d.sinks, *x)
}

func (d *document) sinkName(s *form.Sink) func(*yaml.Node, string) {
	return func(n *yaml.Node, field string) {
		d.text(&s.Name, func(name string) error {
			if err := messages.CheckName("sink", name); err != nil {
				return err
			}
			if i := slices.IndexFunc(d.sinks, func(x declaredSink) bool { return x.sink.Name == name }); i >= 0 {
				return fmt.Errorf("sink name %q is taken by the sink at %s: give each its own", name, d.at(d.sinks[i].at))
			}
			return nil
		})(n, field)
	}
}

// checkNoAddress refuses an address where a file's name is meant.
func checkNoAddress(s string) error {
	if strings.Contains(s, "://") {
		return errors.New("looks like an address: put it into a file and give the file's name here")
	}
	return checkPasted(s)
}

// checkConsole tells whether the console may be at an address.
func checkConsole(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(s, "<>|\"' ") {
		return fmt.Errorf("%q is not an address such as %q", clip(s), "https://console.example.com")
	}
	return nil
}

// checkSinkFleets warns of fleets that sinks ask for and nobody feeds.
func (d *document) checkSinkFleets() {
	for _, x := range d.sinks {
		d.Reader = yamlfile.Reader{File: x.at.file}
		for i, f := range x.sink.Fleets {
			if _, fed := d.fleets[f]; !fed {
				d.Warn(x.fleets, fmt.Sprintf("%s[%d]", x.field, i), "no pipeline feeds a fleet %q: is it written right?", f)
			}
		}
		d.warnings = append(d.warnings, d.Warnings...)
	}
}

// consoleAddress reads where the console is. Several files of a folder may say so, if they say the same.
func (d *document) consoleAddress(n *yaml.Node, field string) {
	var address string
	d.text(&address, func(s string) error {
		if s = strings.TrimSuffix(s, "/"); d.console != "" && d.console != s {
			return fmt.Errorf("%q is another than the one of another file, %q: give it once", clip(s), d.console)
		}
		return checkConsole(s)
	})(n, field)
	if address != "" {
		d.console = strings.TrimSuffix(address, "/")
	}
}
