package docker

import (
	"testing"

	"github.com/moby/moby/api/types/jsonstream"
)

// The lines are those of Docker 20.10.
func TestFetchedBytesAreThoseThatTravel(t *testing.T) {
	line := func(id, status string, current, total int64) jsonstream.Message {
		m := jsonstream.Message{ID: id, Status: status}
		if total > 0 {
			m.Progress = &jsonstream.Progress{Current: current, Total: total}
		}
		return m
	}
	l := fetchedLayers{}
	for _, step := range []struct {
		line jsonstream.Message
		want int64
	}{
		{line("a", "Pulling fs layer", 0, 0), 0},
		{line("b", "Already exists", 0, 0), 0},
		{line("a", "Downloading", 100, 1000), 100},
		{line("c", "Downloading", 50, 70), 150},
		{line("a", "Downloading", 600, 1000), 650},
		{line("a", "Verifying Checksum", 0, 0), 1050},
		{line("a", "Download complete", 0, 0), 1050},
		{line("a", "Extracting", 900, 1000), 1050},
		{line("c", "Download complete", 0, 0), 1070},
		{line("c", "Pull complete", 0, 0), 1070},
		{line("b", "Download complete", 0, 0), 1070},
		{line("d", "Pulling fs layer", 0, 0), 1070},
		{line("d", "Download complete", 0, 0), 1070},
		{line("d", "Extracting", 10, 30), 1100},
		{line("d", "Extracting", 30, 30), 1100},
	} {
		if l.note(step.line); l.bytes() != step.want {
			t.Errorf("%d bytes after %+v, want %d", l.bytes(), step.line, step.want)
		}
	}
}
