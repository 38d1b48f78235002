package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// typed makes a value of a word: with -j of JSON, else by a guess, of which it warns.
func typed(word string, asJSON bool, warn io.Writer) (any, error) {
	var v any
	if asJSON {
		if err := json.Unmarshal([]byte(word), &v); err != nil {
			return nil, fmt.Errorf("%q is no JSON: %w", word, err)
		}
		return v, nil
	}
	if err := yaml.Unmarshal([]byte(word), &v); err != nil {
		v = word
	}
	name := "struct"
	switch v.(type) {
	case string:
		name = "string"
	case bool:
		name = "bool"
	case int, float64:
		name = "number"
	}
	_, err := fmt.Fprintln(warn, "WARNING: Assumed type", name)
	return v, err
}

// get is a component's document, what is under a key of it, or all documents.
func get(config map[string]any, component, key string) (any, error) {
	if component == "" {
		return config, nil
	}
	var v any = config
	for _, step := range append([]string{component}, steps(key)...) {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, missing(component, key)
		}
		if v, ok = m[step]; !ok {
			return nil, missing(component, key)
		}
	}
	return v, nil
}

// set puts a value under a key, whose folders it makes.
func set(config map[string]any, component, key string, v any, force bool) error {
	m, last, err := folder(config, component, key, true)
	if err != nil {
		return err
	}
	if was, ok := m[last]; ok && !force && was != nil && reflect.TypeOf(was) != reflect.TypeOf(v) {
		return fmt.Errorf("%s %s is of another type: use --force to change it", component, key)
	}
	m[last] = v
	return nil
}

// del takes a key away.
func del(config map[string]any, component, key string) error {
	m, last, err := folder(config, component, key, false)
	if err != nil {
		return err
	}
	delete(m, last)
	return nil
}

// folder is where the last step of a key leads from.
func folder(config map[string]any, component, key string, create bool) (map[string]any, string, error) {
	path := append([]string{component}, steps(key)...)
	m := config
	for _, step := range path[:len(path)-1] {
		next, ok := m[step].(map[string]any)
		if !ok {
			if _, other := m[step]; other || !create {
				return nil, "", missing(component, key)
			}
			next = map[string]any{}
			m[step] = next
		}
		m = next
	}
	return m, path[len(path)-1], nil
}

func steps(key string) []string {
	if key == "" {
		return nil
	}
	return strings.Split(key, "/")
}

func missing(component, key string) error {
	return fmt.Errorf("there is no %s %s", component, key)
}
