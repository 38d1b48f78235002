package docker

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// create makes a container with what the engine knows of what it is to be. What it doesn't know, it goes without:
// no labels before Docker 1.6, which stand in the container's name then; no limit of processes before 1.11; no
// health check before 1.12.
func (o *oldCall) create() (*http.Response, error) {
	var asked struct {
		container.Config
		HostConfig container.HostConfig
	}
	err := json.NewDecoder(o.r.Body).Decode(&asked)
	_ = o.r.Body.Close()
	if err != nil {
		return nil, err
	}
	host := map[string]any{"NetworkMode": asked.HostConfig.NetworkMode}
	made := map[string]any{
		"Image": asked.Image, "User": asked.User, "Env": asked.Env, "Entrypoint": asked.Entrypoint[:min(1, len(asked.Entrypoint))],
		// The engine adds the image's command to an entrypoint that comes without one.
		"Cmd": asked.Entrypoint[min(1, len(asked.Entrypoint)):], "NetworkDisabled": asked.HostConfig.NetworkMode.IsNone(),
	}
	if o.before(apiLabels) {
		made["Memory"] = asked.HostConfig.Memory
		o.r.URL.RawQuery = url.Values{"name": {nameWith(asked.Labels)}}.Encode()
	} else {
		made["Labels"], host["Memory"], host["LogConfig"] = asked.Labels, asked.HostConfig.Memory, asked.HostConfig.LogConfig
	}
	for since, add := range map[string]func(){
		"1.21": func() { made["StopSignal"] = asked.StopSignal },
		"1.23": func() { host["PidsLimit"] = asked.HostConfig.PidsLimit },
		"1.24": func() { made["Healthcheck"] = asked.Healthcheck },
	} {
		if !o.before(since) {
			add()
		}
	}
	later, err := json.Marshal(host)
	if err != nil {
		return nil, err
	}
	if !o.before(apiSetAtMake) {
		made["HostConfig"] = host
	}
	if err := o.body(made); err != nil {
		return nil, err
	}
	got, err := o.send()
	if err != nil || got.StatusCode != http.StatusCreated {
		return got, err
	}
	var is struct {
		ID       string `json:"Id"`
		Warnings []string
	}
	if err := read(got, &is); err != nil {
		return nil, err
	}
	if o.before(apiSetAtMake) {
		o.gate.mu.Lock()
		o.gate.hosts[is.ID] = later
		o.gate.mu.Unlock()
	}
	return with(got, is)
}

// body gives the request a content.
func (o *oldCall) body(content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	o.r.Body, o.r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	o.r.GetBody = nil
	o.r.Header.Set("Content-Type", "application/json")
	return nil
}

// start starts a container.
func (o *oldCall) start(id string) (*http.Response, error) {
	o.gate.mu.Lock()
	host, later := o.gate.hosts[id]
	delete(o.gate.hosts, id)
	o.gate.mu.Unlock()
	if later {
		if err := o.body(host); err != nil {
			return nil, err
		}
	}
	return o.send()
}

// namedTrial begins the name of a container whose labels stand in its name.
const namedTrial = "fenceline-trial-"

// nameWith is the name of a container that has labels.
func nameWith(labels map[string]string) string {
	text, err := json.Marshal(labels)
	if err != nil { // a map of strings always has a text
		return ""
	}
	return namedTrial + base64.RawURLEncoding.EncodeToString(text)
}

// labelsIn are the labels that a container's name has; none where it is named otherwise.
func labelsIn(names []string) map[string]string {
	for _, n := range names {
		text, ok := strings.CutPrefix(n, "/"+namedTrial)
		if !ok {
			continue
		}
		var labels map[string]string
		if raw, err := base64.RawURLEncoding.DecodeString(text); err == nil && json.Unmarshal(raw, &labels) == nil {
			return labels
		}
	}
	return nil
}

// listed is a container in a list, as far as that is used.
type listed struct {
	ID      string `json:"Id"`
	Names   []string
	Image   string
	ImageID string
	Created int64
	Labels  map[string]string
	State   string
	Status  string
}

// containers lists containers: those with a label where that is asked for.
func (o *oldCall) containers() (*http.Response, error) {
	query := o.r.URL.Query()
	label := ""
	if o.before(apiLabels) {
		label = filtersOf(query).one("label")
		query.Del("filters")
		o.r.URL.RawQuery = query.Encode()
	}
	got, err := o.send()
	if err != nil || got.StatusCode != http.StatusOK {
		return got, err
	}
	var list []listed
	if err := read(got, &list); err != nil {
		return nil, err
	}
	out, there := []listed{}, map[string]bool{}
	for _, c := range list {
		there[c.ID] = true
		if c.State == "" {
			c.State = stateOf(c.Status)
		}
		if o.before(apiLabels) {
			c.Labels = labelsIn(c.Names)
		}
		if _, has := c.Labels[label]; label != "" && !has {
			continue
		}
		if c.ImageID == "" {
			if c.ImageID, err = o.imageOf(c.ID); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	o.forget(there)
	return with(got, out)
}

// stateOf is a container's state by what its status says for people.
func stateOf(status string) string {
	switch {
	case strings.HasPrefix(status, "Up"):
		return string(container.StateRunning)
	case strings.HasPrefix(status, "Exited"):
		return string(container.StateExited)
	}
	return string(container.StateCreated)
}

// imageOf is the ID of a container's image, "" where the container is gone. It never changes.
func (o *oldCall) imageOf(id string) (string, error) {
	o.gate.mu.Lock()
	known := o.gate.images[id]
	o.gate.mu.Unlock()
	if known != "" {
		return known, nil
	}
	var is struct{ Image string }
	if err := o.get("/containers/"+id+"/json", &is); err != nil {
		return "", o.r.Context().Err()
	}
	o.gate.mu.Lock()
	defer o.gate.mu.Unlock()
	o.gate.images[id] = is.Image
	return is.Image, nil
}

// forget forgets what is known of containers that are gone.
func (o *oldCall) forget(there map[string]bool) {
	o.gate.mu.Lock()
	defer o.gate.mu.Unlock()
	for id := range o.gate.images {
		if !there[id] {
			delete(o.gate.images, id)
		}
	}
	for id := range o.gate.hosts {
		if !there[id] {
			delete(o.gate.hosts, id)
		}
	}
}

// container leaves of a container what is used.
func (o *oldCall) container(said map[string]json.RawMessage) error {
	leave(said, "Id", "Image", "Config", "State")
	for field, used := range map[string][]string{"Config": {"User"}, "State": {"OOMKilled", "Running", "ExitCode"}} {
		var of map[string]json.RawMessage
		if err := json.Unmarshal(said[field], &of); err != nil {
			delete(said, field)
			continue
		}
		leave(of, used...)
		text, err := json.Marshal(of)
		if err != nil {
			return err
		}
		said[field] = text
	}
	return nil
}
