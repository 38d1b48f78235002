package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fenceline/fenceline/cli/settings"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
	"github.com/spf13/cobra"
)

// audited is a call, or so many calls of strangers that were answered alike, as `audit` shows it.
type audited struct {
	messages.AuditedCall
	Since    *time.Time `json:"since,omitempty"` // of several: the span of time, which ends at At
	Count    int64      `json:"count"`
	Producer string     `json:"producer"` // who answered
}

// lostCalls is what `audit` says beside the list of calls.
type lostCalls struct {
	Calls     []audited               `json:"calls"`
	Decisions []messages.DecisionMade `json:"decisions"`
	Lost      int64                   `json:"lost,omitempty"` // calls that there was no room to tell of
}

func newAuditCmd() *cobra.Command {
	var since time.Duration
	var known bool
	cmd := &cobra.Command{
		Use: "audit", Short: "List who decided, or asked producers for what, and what became of it",
		Long: `Lists what people decided by commands and in the console, and the webhooks and calls that
producers answered, the oldest first: accepted, ignored and refused ones, with who, from where,
and why. Calls of those who had not proved who they are are counted by the minute, by address
and answer.`,
		Example: "  fenceline audit\n  fenceline audit --since 7d --known -o json",
		Args:    settings.Args(0, 0),
	}
	settings.SpanVar(cmd.Flags(), &since, "since", 24*time.Hour, "how far back to look, such as 2h or 7d")
	cmd.Flags().BoolVar(&known, "known", false, "only those who had proved who they are")
	return operator(cmd, func(ctx context.Context, s *session, _ []string) error {
		if since <= 0 {
			return settings.Usagef("--since: %s: look back for a while, such as 2h", since)
		}
		now, err := store.NewClock(s.queue).Now(ctx)
		if err != nil {
			return err
		}
		found, err := s.audit(ctx, now.Add(-since), !known)
		if err != nil {
			return err
		}
		return s.print(found, found.write)
	})
}

// audit reads the audit events from a time on, by the clock of NATS.
func (s *session) audit(ctx context.Context, from time.Time, strangers bool) (*lostCalls, error) {
	out := &lostCalls{Calls: []audited{}, Decisions: []messages.DecisionMade{}}
	space := s.queue.Space()
	streams := []string{space.AuditStream()}
	if missing, err := s.queue.Missing(ctx, space.DecisionsStream()); err == nil && !missing { // an older controller makes none
		streams = append(streams, space.DecisionsStream())
	}
	if strangers {
		streams = append(streams, space.RefusalsStream())
	}
	for _, stream := range streams {
		if missing, err := s.queue.Missing(ctx, stream); missing {
			return nil, fmt.Errorf("there are no audit events: stream %s does not exist: start a controller of this version", stream)
		} else if err != nil {
			return nil, err
		}
		err := s.queue.Read(ctx, stream, queue.ReadOptions{}, func(r queue.Received) error {
			if !r.Stored.Before(from) {
				out.add(&r)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("reading audit events: %w", err)
		}
	}
	slices.SortStableFunc(out.Decisions, func(a, b messages.DecisionMade) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(out.Calls, func(a, b audited) int { return a.At.Compare(b.At) })
	return out, nil
}

func (l *lostCalls) add(r *queue.Received) {
	producer := r.Envelope.Source[strings.LastIndexByte(r.Envelope.Source, '/')+1:]
	switch p := r.Payload.(type) {
	case *messages.DecisionMade:
		l.Decisions = append(l.Decisions, *p)
	case *messages.CallsAudited:
		l.Lost += p.Lost
		for _, c := range p.Calls {
			l.Calls = append(l.Calls, audited{AuditedCall: c, Count: 1, Producer: producer})
		}
	case *messages.RefusalsCounted:
		for _, row := range p.Refusals {
			c := messages.AuditedCall{At: p.Until, What: row.What, Path: row.Path, From: row.From, Outcome: messages.OutcomeRefused, Status: row.Status, Why: row.Why}
			if row.Status < http.StatusBadRequest {
				c.Outcome = messages.OutcomeIgnored
			}
			l.Calls = append(l.Calls, audited{c, &p.Since, row.Count, producer})
		}
	}
}

func (l *lostCalls) write(p *terminal.Page) {
	p.Head("AT", "WHAT", "BY", "FROM", "OUTCOME", "STATUS", "DETAIL")
	decisions := l.Decisions
	for i := range l.Calls {
		c := &l.Calls[i]
		for len(decisions) > 0 && decisions[0].At.Before(c.At) {
			writeDecision(p, &decisions[0])
			decisions = decisions[1:]
		}
		p.Row(c.At.UTC().Format(time.RFC3339), c.Path, c.who(), c.from(), c.Outcome, c.Status, c.detail())
	}
	for i := range decisions {
		writeDecision(p, &decisions[i])
	}
	if l.Lost > 0 {
		p.Line("%s more are not known: there was no room to keep them while NATS was away", overview.Counted(int(l.Lost), "call"))
	}
}

func writeDecision(p *terminal.Page, d *messages.DecisionMade) {
	what := strings.Join(strings.Fields(d.Action+" "+d.Fleet+" "+d.About), " ")
	if d.To != "" {
		what += " to " + d.To
	}
	var said []string
	if d.Reason != "" {
		said = append(said, d.Reason)
	}
	switch {
	case d.Doubtful:
		said = append(said, "it may have been done: "+d.Why)
	case d.Why != "":
		said = append(said, d.Why)
	}
	p.Row(d.At.UTC().Format(time.RFC3339), what, d.By, strings.TrimSpace(d.From+" ("+d.Via+")"), d.Outcome, "", strings.Join(said, "; "))
}

// who is whose call it was; a stranger's is nobody's.
func (c *audited) who() string {
	if c.Since != nil {
		return "a stranger"
	}
	return c.By
}

func (c *audited) from() string {
	if c.Since != nil {
		return cmp.Or(c.From, "elsewhere")
	}
	return c.From
}

func (c *audited) detail() string {
	var said []string
	if c.Count > 1 {
		said = append(said, overview.Counted(int(c.Count), "time"))
	}
	builds := strings.Join(c.Builds, ", ")
	if c.More > 0 {
		builds += fmt.Sprintf(" and %d more", c.More)
	}
	for _, text := range []string{builds, c.Why} {
		if text != "" {
			said = append(said, text)
		}
	}
	if c.Delivery != "" {
		said = append(said, "delivery "+c.Delivery)
	}
	return strings.Join(said, "; ")
}
