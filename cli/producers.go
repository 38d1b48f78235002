package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/producer"
	"github.com/fenceline/fenceline/terminal"
)

// producerStatus is what a producer says of its pipeline file.
type producerStatus struct {
	URL string `json:"url"`
	producer.FileState
	Away string `json:"away,omitempty"` // why it said nothing
}

// producerTime bounds what one producer is waited for.
const producerTime = 3 * time.Second

// producers are the addresses of the producers that are known here, of which several are parted by commas.
func (a *access) producers() []string {
	var out []string
	for _, url := range strings.Split(a.producer, ",") {
		if url = strings.TrimSuffix(strings.TrimSpace(url), "/"); url != "" {
			out = append(out, url)
		}
	}
	return out
}

// askProducers asks the known producers of their pipeline files. Who has no token of theirs isn't answered, so none is asked then.
func (a *access) askProducers(ctx context.Context) ([]producerStatus, error) {
	if a == nil || a.tokenFile == "" {
		return nil, nil
	}
	var out []producerStatus
	for _, url := range a.producers() {
		token, err := settings.ReadSecret(a.tokenFile)
		if err != nil {
			return nil, err
		}
		s := producerStatus{URL: url}
		s.FileState, err = a.askPipelines(ctx, url, token.Reveal())
		var refused *refusedError
		switch {
		case errors.As(err, &refused) && (refused.status == http.StatusNotFound || refused.status == http.StatusForbidden):
			continue // it is of an older version, or takes no calls
		case err != nil:
			s.Away = err.Error()
		}
		out = append(out, s)
	}
	return out, nil
}

// askPipelines asks a producer of its pipeline file.
func (a *access) askPipelines(ctx context.Context, url, token string) (producer.FileState, error) {
	var s producer.FileState
	at, err := a.reach(url)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, producerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.base+"/v1/pipelines", nil)
	if err != nil {
		return s, settings.Usage(fmt.Errorf("--producer: %w", err))
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := at.client.Do(req)
	if err != nil {
		return s, fmt.Errorf("%w: %w", errUnreached, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return s, fmt.Errorf("reading the producer's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		a := new(answer)
		_ = json.Unmarshal(body, a) // what is none says nothing
		return s, &refusedError{resp.StatusCode, a.Error}
	}
	if err := json.Unmarshal(body, &s); err != nil || s.Digest == "" {
		return s, fmt.Errorf("%s gave no answer of a producer", req.URL.Host)
	}
	return s, nil
}

// problems are what is wrong with a producer's pipeline file, in lines.
func (s *producerStatus) problems() []string {
	switch {
	case s.Away != "":
		return []string{"producer " + s.URL + ": " + s.Away}
	case s.Error == "":
		return s.certificateProblems()
	}
	lines := strings.Split(s.Error, "\n")
	out := []string{fmt.Sprintf("producer %s can't use its pipeline file as it is since %s; the %s read %s stay in force",
		s.URL, overview.Ago(s.Since), overview.Counted(len(s.Pipelines), "pipeline"), overview.Ago(s.Loaded))}
	for i, line := range lines {
		if i == maxFileProblems {
			out = append(out, fmt.Sprintf("  and %s", overview.Counted(len(lines)-i, "more problem")))
			break
		}
		out = append(out, "  "+line)
	}
	return append(out, s.certificateProblems()...)
}

// certificateProblems are what is wrong with a producer's certificate, in lines.
func (s *producerStatus) certificateProblems() []string {
	c := s.Certificate
	if c == nil {
		return nil
	}
	var out []string
	if c.Error != "" {
		out = append(out, fmt.Sprintf("producer %s can't use its certificate as it is since %s; the one read %s stays in force:", s.URL, overview.Ago(c.Since), overview.Ago(c.Loaded)), "  "+c.Error)
	}
	if end := expiry(c.Until); end != "" {
		out = append(out, fmt.Sprintf("producer %s: its certificate %s %s: put a new one there, which is read without a restart", s.URL, c.File, end))
	}
	return out
}

// expiry says that a certificate's end is near or past, or nothing.
func expiry(until time.Time) string {
	switch left := time.Until(until); {
	case left <= 0:
		return "has expired on " + until.UTC().Format(time.DateOnly)
	case left < producer.ExpiresSoon:
		in := overview.Counted(int(left/(24*time.Hour)), "day")
		if left < 48*time.Hour {
			in = overview.Counted(int(left/time.Hour), "hour")
		}
		return fmt.Sprintf("expires on %s, in %s", until.UTC().Format(time.DateOnly), in)
	}
	return ""
}

// maxFileProblems bounds how many mistakes of a file `status` shows: lint shows all.
const maxFileProblems = 5

// different tells which producers don't have the same pipelines, if any, in a line.
func different(all []producerStatus) string {
	var first *producerStatus
	for i := range all {
		switch s := &all[i]; {
		case s.Away != "":
		case first == nil:
			first = s
		case s.Digest != first.Digest:
			return fmt.Sprintf("producers differ in their pipelines: %s read its file %s, %s %s: give all of them the same file",
				first.URL, overview.Ago(first.Loaded), s.URL, overview.Ago(s.Loaded))
		}
	}
	return ""
}

// writeProducers writes what is wrong with pipeline files.
func (o *statusReport) writeProducers(p *terminal.Page) {
	var lines []string
	for i := range o.Producers {
		lines = append(lines, o.Producers[i].problems()...)
	}
	if d := different(o.Producers); d != "" {
		lines = append(lines, d)
	}
	for i, line := range lines {
		if i == 0 || !strings.HasPrefix(line, "  ") {
			line = "problem: " + line
		}
		p.Line("%s", line)
	}
	if len(lines) > 0 {
		p.Line("")
	}
}
