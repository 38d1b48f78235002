package docker

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/jsonstream"
)

// line is a line of progress, with bytes or, by its units, time.
func line(id, status string, current, total int64, units ...string) jsonstream.Message {
	m := jsonstream.Message{ID: id, Status: status}
	if current > 0 {
		m.Progress = &jsonstream.Progress{Current: current, Total: total}
		for _, u := range units {
			m.Progress.Units = u
		}
	}
	return m
}

type countedLine struct {
	line jsonstream.Message
	want int64 // bytes by then
}

func counts(t *testing.T, of *remoteImage, lines []countedLine) {
	t.Helper()
	f := newFetchedLayers(of)
	for _, step := range lines {
		if f.note(step.line); f.bytes() != step.want {
			t.Errorf("%d bytes after %+v, want %d", f.bytes(), step.line, step.want)
		}
		if p := f.progress(step.line.ID); p.Bytes != step.want || p.Total < p.Bytes {
			t.Errorf("the progress is %+v after %+v", p, step.line)
		}
	}
}

// The lines are those of Docker 20.10.
func TestFetchedBytesAreThoseThatTravel(t *testing.T) {
	counts(t, nil, []countedLine{
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
		{line("b", "Downloading", 2, 8), 1102},
	})
}

// TestLayersThatComeFastAreCounted has an engine fetch them between two looks at how far it is: no line has their bytes.
func TestLayersThatComeFastAreCounted(t *testing.T) {
	image := &remoteImage{}
	for c, size := range map[string]int64{"a": 1000, "b": 200, "c": 30, "d": 4} {
		image.layers = append(image.layers, sized("sha256:"+strings.Repeat(c, 64), c, size, -1))
	}
	id := func(c string) string { return strings.Repeat(c, 12) }
	counts(t, image, []countedLine{
		{line("registry.example/base@sha256:0", "Pulling from base", 0, 0), 0},
		{line(id("a"), "Pulling fs layer", 0, 0), 0},
		{line(id("b"), "Pulling fs layer", 0, 0), 0},
		{line(id("a"), "Download complete", 0, 0), 1000},
		{line(id("b"), "Already exists", 0, 0), 1000},
		{line(id("a"), "Extracting", 1, 0, "s"), 1000},
		{line(id("b"), "Extracting", 1, 0, "s"), 1000}, // one that is there is unpacked too
		{line(id("b"), "Pull complete", 0, 0), 1000},
		{line(id("c"), "Downloading", 10, 30), 1010},
		{line(id("c"), "Pull complete", 0, 0), 1030},
		{line(id("d"), "Pull complete", 0, 0), 1034},
		{line(id("e"), "Pull complete", 0, 0), 1034}, // of a manifest that was not read
		{line("", "Digest: sha256:0", 0, 0), 1034},
	})
}
