package imagediff

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// mostSettings bounds the settings that are told.
	mostSettings = 300
	// mostValue bounds a value, in bytes.
	mostValue = 2 << 10
)

// settings are how configurations differ.
func settings(a, b *ocispecs.ImageConfig) (out []Setting) {
	one := func(name, from, to string) {
		if from != to {
			out = append(out, Setting{Name: name, From: set(from), To: set(to)})
		}
	}
	many := func(name string, from, to map[string]string) {
		keys := map[string]string{}
		maps.Copy(keys, from)
		maps.Copy(keys, to)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			was, had := from[key]
			is, has := to[key]
			if had == has && was == is {
				continue
			}
			s := Setting{Name: name, Key: cut(key)}
			if had {
				s.From = new(cut(was))
			}
			if has {
				s.To = new(cut(is))
			}
			out = append(out, s)
		}
	}
	one("user", a.User, b.User)
	one("workdir", a.WorkingDir, b.WorkingDir)
	one("entrypoint", words(a.Entrypoint), words(b.Entrypoint))
	one("cmd", words(a.Cmd), words(b.Cmd))
	one("stop signal", a.StopSignal, b.StopSignal)
	many("env", variables(a.Env), variables(b.Env))
	many("label", a.Labels, b.Labels)
	many("port", keysOf(a.ExposedPorts), keysOf(b.ExposedPorts))
	many("volume", keysOf(a.Volumes), keysOf(b.Volumes))
	if n := len(out); n > mostSettings {
		out = append(out[:mostSettings], Setting{Name: fmt.Sprintf("%d more settings", n-mostSettings)})
	}
	return out
}

// set is a value, or nil where there is none.
func set(s string) *string {
	if s == "" {
		return nil
	}
	return new(cut(s))
}

// cut bounds a value.
func cut(s string) string {
	if len(s) <= mostValue {
		return s
	}
	return strings.ToValidUTF8(s[:mostValue], "") + fmt.Sprintf("… (%d bytes)", len(s))
}

// words is a command line as a Dockerfile has it.
func words(all []string) string {
	if len(all) == 0 {
		return ""
	}
	b, _ := json.Marshal(all) // strings always can be
	return string(b)
}

// variables are those of an environment; of one that is there twice the last counts, as programs read it.
func variables(env []string) map[string]string {
	out := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		out[name] = value
	}
	return out
}

func keysOf(all map[string]struct{}) map[string]string {
	out := map[string]string{}
	for key := range all {
		out[key] = ""
	}
	return out
}

// Text says how a setting differs.
func (s *Setting) Text() string {
	name := strings.TrimSpace(s.Name + " " + s.Key)
	value := func(v *string) string { return cmp.Or(*v, "set") }
	switch {
	case s.From == nil && s.To == nil:
		return name
	case s.From == nil:
		return name + " added: " + value(s.To)
	case s.To == nil:
		return name + " removed, was: " + value(s.From)
	}
	return name + " changed: " + *s.From + " -> " + *s.To
}
