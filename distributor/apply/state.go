package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// state is what was done, kept in a file so that a distributor that starts again goes on from there.
type state struct {
	Image    string    `json:"image,omitempty"`    // that was written, or is about to be
	Previous string    `json:"previous,omitempty"` // that was applied before
	Revision uint64    `json:"revision,omitempty"` // of the fleet's record by which it became current here
	Done     bool      `json:"done"`               // it was written, and the command ended well
	At       time.Time `json:"at,omitzero"`        // when
	Running  *running  `json:"running,omitempty"`  // the command under way
}

const maxState = 64 << 10

// readState reads the state; one that was never written is empty.
func readState(path string) (*state, error) {
	content, err := readBounded(path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was applied from %s: %w%s", path, err, allowed(err, "read"))
	}
	s := &state{}
	if err := json.Unmarshal(content, s); err != nil {
		return nil, fmt.Errorf("reading what was applied from %s: it is none of fenceline's: %w: remove it, and the image is applied anew", path, err)
	}
	return s, nil
}

// keep writes the state, and is what the target knows from then on.
func (t *Target) keep(s state) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("writing what was applied: %w", err)
	}
	if err := writeWhole(t.cfg.State, append(content, '\n'), 0o600, nil, nil); err != nil {
		return fmt.Errorf("noting in %s what is applied: %w", t.cfg.State, err)
	}
	t.state = &s
	return nil
}

// load reads the state once, and ends what an earlier distributor left behind.
func (t *Target) load() error {
	if t.state != nil {
		return nil
	}
	s, err := readState(t.cfg.State)
	if err != nil {
		return err
	}
	removeLeftovers(t.cfg.State)
	path, err := filepath.EvalSymlinks(t.cfg.File)
	if err != nil { // there is none yet
		path = t.cfg.File
	}
	removeLeftovers(path)
	if s.Running != nil {
		if s.Running.end() {
			t.log.Warn().Int("process", s.Running.Process).Msg("ended the command that an earlier distributor left running")
		}
		s.Running = nil
	}
	t.state = s
	return nil
}
