package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// store is what the cluster keeps.
type store struct {
	path   string
	Config map[string]any      `json:"config"`
	Nodes  map[string][]string `json:"nodes"`
}

// open reads the file.
func open() (*store, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the file: %w", err)
	}
	s := store{path: cmp.Or(os.Getenv("KATO_FILE"), filepath.Join(filepath.Dir(program), "kato.json"))}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("the cluster's store can't be read: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%s is no store: %w", s.path, err)
	}
	if s.Config == nil {
		s.Config = map[string]any{}
	}
	return &s, nil
}

// save replaces the file.
func (s *store) save() error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the store: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), ".kato-*")
	if err != nil {
		return fmt.Errorf("writing the store: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	if err = cmp.Or(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		return fmt.Errorf("writing the store: %w", err)
	}
	return nil
}

// listNodes prints a line for each node: its address, then its roles.
func listNodes(out io.Writer, nodes map[string][]string) error {
	for _, address := range slices.Sorted(maps.Keys(nodes)) {
		if _, err := fmt.Fprintln(out, address, strings.Join(nodes[address], " ")); err != nil {
			return err
		}
	}
	return nil
}
