package buildkit

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fenceline/fenceline/git"
	"github.com/fenceline/fenceline/messages"
	"github.com/moby/buildkit/client"
	digest "github.com/opencontainers/go-digest"
)

const (
	maxTail    = 20       // lines of a step's output that are kept for an error
	maxText    = 32 << 10 // of one log message, in bytes
	maxPartial = 8 << 10  // of a line without an end, then it counts as one
	maxChain   = 64 << 10 // of such a line that is kept back for the secrets at its end
	maxName    = 1000     // of a step's name, which each of its messages has, in bytes
	maxLine    = 2000     // of a line that is kept for an error, in bytes
	maxParts   = 50       // of a step that one message tells of
	maxPart    = 200      // of such a part's name, in bytes
	partsEvery = time.Second
)

// progress turns BuildKit's status into log messages, with secrets hidden. Output is passed on by
// whole lines; a line that doesn't end, in pieces that cut no secret in two.
type progress struct {
	*hider

	mu     sync.Mutex
	log    func(messages.BuildLog) // nil once closed
	steps  map[digest.Digest]*step
	failed digest.Digest // the first vertex that failed
	status int           // with which a registry refused what was pushed, as far as BuildKit logs it
}

// step is a vertex of a build.
type step struct {
	name     string
	started  bool
	ended    *time.Time // as last told; a step without inputs ends twice: looked up, then done
	partial  [3]string  // output without the end of its line yet, by stream
	lastLine []string
	parts    []messages.VertexPart // that nobody was told of yet, the last word on each
	told     time.Time             // by BuildKit's clock, when its parts were told of last
}

func newProgress(log func(messages.BuildLog), h *hider) *progress {
	return &progress{hider: h, log: log, steps: make(map[digest.Digest]*step)}
}

// close ends the log: what BuildKit still says afterwards goes nowhere.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log = nil
}

// say passes on a message as it is.
func (p *progress) say(l messages.BuildLog) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.emit(l)
}

func (p *progress) emit(l messages.BuildLog) {
	if p.log == nil {
		return
	}
	l.Text = strings.ToValidUTF8(l.Text, "\uFFFD")
	for len(l.Text) > maxText {
		part := l
		part.Text = strings.ToValidUTF8(l.Text[:maxText], "")
		l.Text = l.Text[len(part.Text):]
		p.log(part)
	}
	p.log(l)
}

// follow reads a job's status until it ends.
func (p *progress) follow(status <-chan *client.SolveStatus) {
	for s := range status {
		p.mu.Lock()
		for _, v := range s.Vertexes {
			p.see(v)
		}
		for _, l := range s.Logs {
			p.output(l)
		}
		for _, part := range s.Statuses {
			p.part(part)
		}
		for _, v := range s.Vertexes {
			p.end(v)
		}
		for _, w := range s.Warnings {
			p.emit(messages.BuildLog{Vertex: p.step(w.Vertex).name, Text: "warning: " + p.hide(string(w.Short)), Progress: &messages.VertexProgress{ID: string(w.Vertex), Output: true}})
		}
		p.mu.Unlock()
	}
}

func (p *progress) step(d digest.Digest) *step {
	s, ok := p.steps[d]
	if !ok {
		s = new(step)
		p.steps[d] = s
	}
	return s
}

// see notes a vertex, and tells when it begins.
func (p *progress) see(v *client.Vertex) {
	s := p.step(v.Digest)
	s.name = messages.Shorten(p.hide(v.Name), maxName) // hidden first: of a secret cut in two the rest would show
	if v.Started != nil && !s.started && v.Completed == nil {
		s.started = true
		p.emit(messages.BuildLog{Vertex: s.name, Progress: progressOf(v)})
	}
}

// progressOf is how far BuildKit says that a vertex is.
func progressOf(v *client.Vertex) *messages.VertexProgress {
	out := &messages.VertexProgress{ID: string(v.Digest), Cached: v.Cached}
	if v.Started != nil {
		out.Started = *v.Started
	}
	if v.Completed != nil {
		out.Completed = *v.Completed
	}
	return out
}

// part notes how far a part of a step is. That it is told of from time to time is enough: BuildKit says it ten times
// a second.
func (p *progress) part(v *client.VertexStatus) {
	s := p.step(v.Vertex)
	name := v.ID
	if v.Name != "" {
		name = v.Name
	}
	now := messages.VertexPart{Name: messages.Shorten(p.hide(name), maxPart), Current: v.Current, Total: v.Total}
	if v.Started != nil {
		now.Started = *v.Started
	}
	if v.Completed != nil {
		now.Completed = *v.Completed
	}
	if i := slices.IndexFunc(s.parts, func(o messages.VertexPart) bool { return o.Name == now.Name }); i >= 0 {
		s.parts[i] = now
	} else if len(s.parts) < maxParts {
		s.parts = append(s.parts, now)
	}
	if v.Timestamp.Sub(s.told) >= partsEvery {
		p.tellParts(v.Vertex, v.Timestamp)
	}
}

// tellParts tells of the parts of a step, in a message that has nothing for those who show lines.
func (p *progress) tellParts(of digest.Digest, now time.Time) {
	s := p.step(of)
	if len(s.parts) == 0 || !s.started {
		return
	}
	p.emit(messages.BuildLog{Progress: &messages.VertexProgress{ID: string(of), Parts: s.parts}})
	s.parts, s.told = nil, now
}

// end tells how a vertex ended.
func (p *progress) end(v *client.Vertex) {
	s := p.step(v.Digest)
	if v.Completed == nil || s.ended != nil && v.Completed.Equal(*s.ended) {
		return
	}
	s.ended = v.Completed
	for stream := range s.partial {
		p.lines(v.Digest, stream, "\n")
	}
	p.tellParts(v.Digest, *v.Completed)
	l := messages.BuildLog{Vertex: s.name, Progress: progressOf(v)}
	switch {
	case v.Error != "" && !strings.Contains(v.Error, "context canceled"):
		if p.failed == "" {
			p.failed = v.Digest
		}
		l.Text, l.Error = p.hide(v.Error), true
	case v.Error != "":
		l.Text, l.Progress.Stopped = "stopped", true
	case v.Cached:
		l.Text = "cached"
	case v.Started != nil:
		l.Text = fmt.Sprintf("done in %v", v.Completed.Sub(*v.Started).Round(10*time.Millisecond))
	default:
		return
	}
	p.emit(l)
}

// output passes on what a step wrote.
func (p *progress) output(l *client.VertexLog) {
	p.lines(l.Vertex, min(max(l.Stream, 0), 2), string(l.Data))
}

// lines adds to a step's output and passes on the lines that are complete.
func (p *progress) lines(of digest.Digest, stream int, text string) {
	s := p.step(of)
	text = s.partial[stream] + text
	end := strings.LastIndexByte(text, '\n') + 1
	if end == 0 {
		end = p.border(text)
	}
	s.partial[stream] = text[end:]
	whole := strings.TrimRight(s.quiet(p.hide(text[:end])), "\r\n")
	if whole == "" {
		return
	}
	for line := range strings.SplitSeq(whole, "\n") {
		if strings.HasPrefix(line, "error: ") && exports.MatchString(s.name) {
			p.status = cmp.Or(readAnswer(line, "").status, p.status)
		}
		s.lastLine = append(s.lastLine, messages.Shorten(line, maxLine))
	}
	if over := len(s.lastLine) - maxTail; over > 0 {
		s.lastLine = slices.Clone(s.lastLine[over:])
	}
	p.emit(messages.BuildLog{Vertex: s.name, Text: whole, Progress: &messages.VertexProgress{ID: string(of), Output: true}})
}

var (
	// reads are the steps that read git repositories, and run no program of a Dockerfile.
	reads = regexp.MustCompile(`^\[internal\] load git source |^\[[^\]]*\] ADD |^git://`)
	// exports is the step that pushes.
	exports = regexp.MustCompile(`^exporting to image$|^pushing `)
	// complaints are what git says where it fails.
	complaints = regexp.MustCompile(`(?m)^(fatal|error): .*\n?`)
)

// refusal is the status with which a registry refused what was pushed, or 0.
func (p *progress) refusal() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// quiet takes out of the output of a step that reads a repository what git complains of. BuildKit
// looks for a commit before it fetches it, and tries several ways to fetch; when it fails for good, the
// step's error has git's words.
func (s *step) quiet(text string) string {
	if !reads.MatchString(s.name) {
		return text
	}
	return complaints.ReplaceAllString(text, "")
}

// tail returns the last lines that the failed step wrote.
func (p *progress) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.steps[p.failed]
	if !ok {
		return ""
	}
	return strings.Join(s.lastLine, "\n")
}

// userinfo is the part of a URL that may be a credential.
var userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s"']+@`)

// hidden stands for what was taken out.
const hidden = "(secret)"

// hider takes secrets out of texts.
type hider struct {
	values  []string // longest first
	replace *strings.Replacer
}

// newHider returns a hider of secrets: the values, their lines, the form in which git sends
// the token, and what stands before the host of a URL.
func newHider(token messages.Secret, secrets map[string]messages.Secret) *hider {
	var values []string
	add := func(v string) {
		if v = strings.TrimSpace(v); len(v) >= 3 {
			values = append(values, v)
		}
	}
	for _, s := range append(slices.Collect(maps.Values(secrets)), token, messages.NewSecret(git.Password(token))) {
		v := s.Reveal()
		add(v)
		for line := range strings.Lines(v) {
			if len(strings.TrimSpace(line)) >= 6 || !strings.Contains(strings.TrimSpace(v), "\n") {
				add(line)
			}
		}
		if v != "" {
			add(base64.StdEncoding.EncodeToString([]byte(v)))
			add(base64.StdEncoding.EncodeToString([]byte(strings.TrimSpace(v))))
			add(base64.StdEncoding.EncodeToString([]byte("x-access-token:" + v)))
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range values {
		pairs = append(pairs, v, hidden)
	}
	return &hider{values: values, replace: strings.NewReplacer(pairs...)}
}

func (h *hider) hide(s string) string {
	return userinfo.ReplaceAllString(h.replace.Replace(s), "${1}"+hidden+"@")
}

// border returns how much of an unfinished line may be passed on, 0 while it is short. What
// is kept back has room for the beginning of any secret, and no secret lies across, unless the
// line is a longer chain of overlapping ones than is kept.
func (h *hider) border(line string) int {
	end := len(line)
	if len(h.values) > 0 {
		end -= len(h.values[0]) - 1
	}
	if end <= maxPartial {
		return 0
	}
	for end > 0 && end < len(line) && !utf8.RuneStart(line[end]) {
		end--
	}
	for moved, latest := true, end; moved; {
		moved = false
		if len(line)-end > maxChain {
			return latest
		}
		for _, v := range h.values {
			from := max(0, end-len(v)+1)
			if i := strings.Index(line[from:min(len(line), end+len(v)-1)], v); i >= 0 {
				end, moved = from+i, true
			}
		}
	}
	return end
}
