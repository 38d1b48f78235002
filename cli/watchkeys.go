package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/fenceline/fenceline/controller/people"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/fenceline/fenceline/overview"
	"github.com/fenceline/fenceline/terminal"
)

// question asks for a person's word before something is decided.
type question struct {
	asks   string
	reason bool                 // a reason is typed; else the word yes
	text   string               // typed so far
	record messages.FleetRecord // of the fleet when it was asked
	action string               // as the command that does the same is called
	about  string               // the rollout, of an approval
	fleet  string
	act    func(ctx context.Context, reason string) (said string, err error)
}

// typed adds to what is typed. Keys that write nothing are left out.
func (q *question) typed(text string) {
	text = strings.ReplaceAll(terminal.Visible(q.text+text), "\n", " ") // a mark goes onto what was typed before it
	q.text = messages.Shorten(text, people.MaxReason)
}

// rows are the question, and below it what is typed, of which the end is shown.
func (q *question) rows(columns int) []string {
	wants := "type yes, then Enter (Esc leaves it): "
	if q.reason {
		wants = "reason, then Enter (Esc leaves it): "
	}
	text := q.text
	if room := columns - len(wants) - 1; room > 0 {
		text = terminal.End(text, room)
	}
	var out []string
	for _, line := range terminal.Lines(q.asks, columns) {
		out = append(out, reverse+line)
	}
	return append(out, wants+text+"_")
}

// acted tells how an action went.
type acted struct{ said string }

// actMost bounds an action.
const actMost = time.Minute

// key carries out what a key asks for.
func (v *view) key(k tea.KeyPressMsg) tea.Cmd {
	switch {
	case k.String() == "ctrl+z":
		return tea.Suspend
	case k.String() == "ctrl+c":
		return tea.Quit
	case v.asking != nil:
		return v.answer(k)
	}
	switch k.String() {
	case "q":
		return tea.Quit
	case "tab":
		v.focus = (v.focus + 1) % panes
	case "shift+tab":
		v.focus = (v.focus + panes - 1) % panes
	case "l":
		v.logs, v.back = !v.logs, 0
	case "p":
		v.troubled, v.top = !v.troubled, 0
	case "h", "r", "b", "a":
		v.said = ""
		v.ask(k.String())
	case "esc":
		v.said = ""
	default:
		v.move(k.String())
	}
	return nil
}

// move moves in the pane that has the focus.
func (v *view) move(key string) {
	by, ok := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -max(1, v.nodesRow), "pgdown": max(1, v.nodesRow), "home": -1 << 30, "end": 1 << 30,
	}[key]
	switch {
	case !ok:
	case v.focus == paneFleets:
		v.choose(v.fleet + by)
	case v.focus == paneNodes:
		v.top += by
	case v.focus == paneLog:
		v.back -= by
	}
}

// answer takes in a key that answers the question.
func (v *view) answer(k tea.KeyPressMsg) tea.Cmd {
	q := v.asking
	switch k.String() {
	case "esc":
		v.asking = nil
	case "backspace":
		if r := []rune(q.text); len(r) > 0 {
			q.text = string(r[:len(r)-1])
		}
	case "enter":
		text := strings.TrimSpace(q.text)
		if q.reason && text == "" || !q.reason && text != "yes" {
			v.asking, v.said = nil, "nothing is done: it was not confirmed"
			return nil
		}
		v.asking, v.said = nil, "is being done"
		v.acts.Add(1)
		return func() tea.Msg {
			defer v.acts.Done()
			return v.carryOut(q, text)
		}
	default:
		q.typed(k.Text)
	}
	return nil
}

// carryOut does what was confirmed, unless the fleet has another image or hold since it was asked.
func (v *view) carryOut(q *question, reason string) acted {
	ctx, cancel := context.WithTimeout(v.ctx, actMost)
	defer cancel()
	e, err := store.Fleets(v.s.queue).Current(ctx, q.fleet)
	if err == nil && !q.stands(&e.Value) {
		err = fmt.Errorf("fleet %s: %w: look again", q.fleet, people.ErrChanged)
	}
	said := ""
	if err == nil {
		said, err = q.act(people.OnlyAs(ctx, q.stands), reason)
	}
	m := &messages.DecisionMade{Action: q.action, Fleet: q.fleet, About: q.about, Via: viaWatch}
	if q.reason {
		m.Reason = reason
	}
	v.s.tellDecision(ctx, m, err)
	switch {
	case errors.Is(err, people.ErrDecided):
		return acted{said + ", but " + err.Error()}
	case err != nil:
		return acted{"failed: " + err.Error()}
	}
	return acted{said}
}

// stands tells whether a record has the image and the hold that were there when it was asked.
func (q *question) stands(r *messages.FleetRecord) bool {
	a, b := r.Hold, q.record.Hold
	return r.Epoch == q.record.Epoch && (a == nil) == (b == nil) && (a == nil || a.By == b.By && a.Reason == b.Reason && a.At.Equal(b.At))
}

// ask asks before the decision that a key stands for.
func (v *view) ask(key string) {
	f := v.own()
	if f == nil || f.Record == nil {
		v.said = "nothing to decide: no fleet with an image is chosen"
		return
	}
	if f.Broken {
		v.said = "nothing can be decided: the record of " + f.Fleet + " can't be read, 'fenceline fleets repair " + f.Fleet + "' mends it"
		return
	}
	r, q := f.Record, &question{fleet: f.Fleet, record: *f.Record}
	switch {
	case key == "h" && r.Hold != nil:
		v.said = fmt.Sprintf("%s is held already, by %s", f.Fleet, r.Hold.By)
		return
	case key == "h":
		v.askHold(q)
	case key == "r" && r.Hold == nil:
		v.said = f.Fleet + " is not held"
		return
	case key == "r":
		v.askRelease(q, r.Hold)
	case key == "b" && r.Previous.IsZero():
		v.said = f.Fleet + " has no earlier image to go back to"
		return
	case key == "b":
		v.askRollback(q, f)
	default:
		if !v.askApproval(q, f) {
			v.said = "no rollout of " + f.Fleet + " waits for approval"
			return
		}
	}
	q.asks = strings.ReplaceAll(terminal.Visible(q.asks), "\n", " ")
	v.asking = q
}

func (v *view) askHold(q *question) {
	q.action = "hold"
	q.reason, q.asks = true, fmt.Sprintf("HOLD %s? Later images are preloaded, not flipped, until it is released.", q.fleet)
	q.act = func(ctx context.Context, reason string) (string, error) {
		_, err := people.Hold(ctx, v.s.queue, q.fleet, reason, whoami())
		return q.fleet + ": held (" + reason + ")", err
	}
}

func (v *view) askRelease(q *question, h *messages.Hold) {
	q.action = "release"
	q.asks = fmt.Sprintf("RELEASE %s, held by %s (%s)? The newest waiting image follows.", q.fleet, h.By, terminal.Fit(h.Reason, min(60, len(h.Reason))))
	q.act = func(ctx context.Context, _ string) (string, error) {
		_, err := people.Release(ctx, v.s.queue, q.fleet, whoami())
		return q.fleet + ": released", err
	}
}

func (v *view) askRollback(q *question, f *overview.Fleet) {
	to, held := f.Record.Previous.Image, 0
	nodes := v.seen.nodes[f.Fleet]
	for i := range nodes {
		if nodes[i].Has(to) {
			held++
		}
	}
	q.action = "rollback"
	q.asks = fmt.Sprintf("ROLL BACK %s from %s to %s, present on %d of %s? It is held then.", q.fleet, overview.Short(f.Record.Current.Image), overview.Short(to), held, overview.Counted(len(nodes), "node"))
	q.act = func(ctx context.Context, _ string) (string, error) {
		r, err := people.Rollback(ctx, v.s.queue, q.fleet, to.Digest(), whoami())
		return fmt.Sprintf("%s: rolled back to %s, and held", q.fleet, overview.Short(r.Current.Image)), err
	}
}

func (v *view) askApproval(q *question, f *overview.Fleet) bool {
	for i := range f.Rollouts {
		r := f.Rollouts[i]
		if r.State != messages.RolloutApproval {
			continue
		}
		q.action, q.about = "approve", r.ID
		q.asks = fmt.Sprintf("APPROVE %s: flip %s to %s, present on %s?", r.ID, q.fleet, overview.Short(r.Ready.Image), progress(&r))
		q.act = func(ctx context.Context, _ string) (string, error) {
			_, err := people.Approve(ctx, v.s.queue, r.ID, whoami())
			return r.ID + ": approved", err
		}
		return true
	}
	return false
}
