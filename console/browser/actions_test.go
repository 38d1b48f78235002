package browser

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/builds"
	"github.com/fenceline/fenceline/builds/buildstest"
	"github.com/fenceline/fenceline/controller"
	"github.com/fenceline/fenceline/fence/backends"
	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/rs/zerolog"
)

// controlled runs a real controller over the installation, and nodes that say all the time that they have each image.
func (i *installation) controlled(t *testing.T, nodes int) {
	t.Helper()
	c, err := controller.New(controller.Config{
		Queue: i.admin, Name: "c1", Interval: 50 * time.Millisecond, Logger: zerolog.Nop(), Backend: new(backends.Backends).Factory(i.admin),
	})
	queuetest.Must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	go func() { _ = c.Run(ctx); ended <- struct{}{} }()
	go func() {
		defer func() { ended <- struct{}{} }()
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for beat := uint64(2); ; beat++ {
			for n := range nodes {
				i.beat(n, beat)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	t.Cleanup(func() { stop(); <-ended; <-ended })
}

// beat sends the heartbeat of a node that has each image.
func (i *installation) beat(n int, beat uint64) {
	name := fmt.Sprintf("node-%05d", n)
	s := messages.NodeStatus{
		Fleet: "production", Node: name, Instance: "i", Beat: beat, Interval: messages.Duration(time.Second), Version: "v1", Revision: 1, FreeBytes: 1 << 35,
		Engine: messages.Engine{Name: "docker", Version: "29.0", ID: "engine-of-" + name},
	}
	for of := range 4 {
		s.Images = append(s.Images, messages.PresentImage{Image: image(of + 1), ID: fmt.Sprintf("sha256:%d", of+1), Local: fmt.Sprintf("l%d", of+1)})
	}
	_ = store.Nodes(i.admin).Note(messages.NodeKey("production", name), s) // the next one comes soon
}

// asking makes the rollout of an image that a person has to approve.
func (i *installation) asking(t *testing.T, n int) (id string) {
	t.Helper()
	r := messages.RolloutRecord{
		ID: fmt.Sprintf("production-base-%d", n), Fleet: "production", State: messages.RolloutWaiting, Policy: messages.DefaultPolicy(), Opened: time.Now().UTC(), Updated: time.Now().UTC(),
	}
	r.Policy.Approval, r.Policy.Canaries = true, 0
	r.Ready.BuildRef = messages.BuildRef{Build: fmt.Sprintf("base-%d", n), Pipeline: "base", Order: uint64(n)}
	r.Ready.Image = image(n)
	_, err := store.Rollouts(i.admin).Create(queuetest.Within(t), r.ID, r)
	queuetest.Must(t, err)
	return r.ID
}

func (i *installation) fleet(t *testing.T) messages.FleetRecord {
	t.Helper()
	e, err := store.Fleets(i.admin).Current(queuetest.Within(t), "production")
	queuetest.Must(t, err)
	return e.Value
}

// decided opens the page of a decision by a link of the page that is open, gives a reason, decides, and awaits what is said then.
func decided(ctx context.Context, t *testing.T, link, reason, says string) {
	t.Helper()
	do(ctx, t, press(`a[href="`+link+`"]`), has("What it will do"), chromedp.WaitVisible("button.decide"))
	usable(ctx, t, link)
	do(ctx, t, chromedp.SendKeys("#reason", reason), chromedp.Click("button.decide"), has("Done: "), has(says))
}

// TestEveryDecision is made in the browser, and a real controller acts on it.
func TestEveryDecision(t *testing.T) {
	i := newFleet(t)
	const nodes = 3
	for n := range nodes {
		queuetest.Must(t, store.Members(i.admin).Note(messages.NodeKey("production", fmt.Sprintf("node-%05d", n)), messages.Member{Fleet: "production", Node: fmt.Sprintf("node-%05d", n), Joined: time.Now()}))
		i.beat(n, 1)
	}
	i.controlled(t, nodes)
	third := i.asking(t, 3)
	ctx := chromium(t)
	signIn(ctx, t, i)

	do(ctx, t, has("approval"))
	decided(ctx, t, "/rollouts/"+third+"/approve", "tried by hand", "is approved")
	do(ctx, t, has("ada: tried by hand"), chromedp.Navigate(i.url+"/fleets/production"))
	queuetest.Eventually(t, "the approved image is current", func() bool { return i.fleet(t).Current.Image == image(3) })
	do(ctx, t, has("epoch 3"))
	decided(ctx, t, "/fleets/production/rollback", "it leaks", "is rolled back")
	do(ctx, t, has("Held by ada"), has("it leaks"))
	queuetest.Eventually(t, "the fence config follows", func() bool { f := i.fleet(t); return f.Current.Image == image(2) && f.Applied.Epoch == f.Epoch })
	do(ctx, t, chromedp.Navigate(i.url+"/rollouts/"+third), has("rolled-back"))
	decided(ctx, t, "/fleets/production/promote?to="+image(3).Digest(), "it leaked elsewhere", "is current in fleet production")
	if f := i.fleet(t); f.Current.Image != image(3) || f.Decided == nil || f.Decided.By != "ada" {
		t.Errorf("promoted to %+v, %+v", f.Current, f.Decided)
	}
	do(ctx, t, chromedp.Navigate(i.url+"/"), has("held"))
	decided(ctx, t, "/fleets/production/release", "mended", "is released") // by the badge
	if f := i.fleet(t); f.Hold != nil || f.Released == nil || f.Released.By != "ada" || f.Released.Reason != "mended" {
		t.Errorf("released: %+v, %+v", f.Hold, f.Released)
	}
	decided(ctx, t, "/fleets/production/hold", "freeze", "is held")

	fourth := i.asking(t, 4)
	do(ctx, t, chromedp.Navigate(i.url+"/rollouts/"+fourth))
	decided(ctx, t, "/rollouts/"+fourth+"/abort", "not today", "is aborted")
	do(ctx, t, has("ada: not today"))
	queuetest.Eventually(t, "it ends so", func() bool {
		e, err := store.Rollouts(i.admin).Current(t.Context(), fourth)
		return err == nil && e.Value.State == messages.RolloutAborted && e.Value.Why == "aborted by ada: not today"
	})

	queuetest.Must(t, store.Members(i.admin).Note("production.node-00009", messages.Member{Fleet: "production", Node: "node-00009", Joined: time.Now(), Silent: true}))
	do(ctx, t, chromedp.Navigate(i.url+"/"), has("silent node"))
	decided(ctx, t, "/fleets/production/nodes/node-00009/retire", "scrapped", "is retired")
	if _, err := store.Members(i.admin).Current(t.Context(), "production.node-00009"); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("it is a member still: %v", err)
	}

	for _, action := range []string{"requeue", "drop"} {
		letter := i.bury(t)
		do(ctx, t, chromedp.Navigate(i.url+"/dead-letters/"+letter+"/"+action), has("the request of build"), chromedp.WaitVisible("button.decide"))
		usable(ctx, t, action)
		do(ctx, t, chromedp.Click("button.decide"), has("Done: Dead letter "+letter+" is "+action))
		if all, err := builds.New(i.admin).DeadLetters(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("after %s there are %v, %v", action, all, err)
		}
	}
	if queued, err := builds.New(i.admin).Queued(t.Context()); err != nil || len(queued) != 1 || queued[0].RequestedBy != "ada" {
		t.Errorf("queued is %+v, %v", queued, err)
	}
}

// bury makes the dead letter of a build request, and returns its name.
func (i *installation) bury(t *testing.T) string {
	t.Helper()
	r := buildstest.Request("base", 1)
	r.Build = messages.NewBuildID("base")
	m, err := messages.Encode(i.admin.Envelope(r.Build, ""), r)
	queuetest.Must(t, err)
	l := &messages.DeadLetter{
		Stream: i.admin.Space().RequestsStream(), Sequence: 7, Subject: i.admin.Space().RequestSubject("base"), Reason: "no builder could", Headers: m.Headers, Body: m.Body, At: time.Now().UTC(),
	}
	queuetest.Must(t, i.admin.Publish(queuetest.Within(t), "", l))
	return builds.LetterName(*l)
}

// TestNATSGoesAwayInTheMiddleOfADecision: that it is not known what became of it is said, and afterwards what did.
func TestNATSGoesAwayInTheMiddleOfADecision(t *testing.T) {
	i := newFleet(t)
	ctx := chromium(t)
	signIn(ctx, t, i)
	sent := i.proxy.HoldAt("$KV.fenceline-fleets.production ")
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production/hold"), has("What it will do"), chromedp.SendKeys("#reason", "freeze"))
	answered := make(chan error, 1)
	go func() {
		answered <- chromedp.Do(ctx, chromedp.Click("button.decide"), has("it is not known whether it was done"))
	}()
	select {
	case <-sent:
	case <-time.After(queuetest.TestTime):
		t.Fatal("nothing is decided")
	}
	queuetest.Must(t, <-answered)
	i.proxy.Release()
	const held, open = `document.body.innerText.includes("The fleet is held already, by ada: freeze")`, `!!document.querySelector("button.decide")`
	queuetest.Eventually(t, "a person can look again", func() bool {
		do(ctx, t, chromedp.Navigate(i.url+"/fleets/production/hold"), chromedp.WaitReady("main h1"))
		return ask[bool](ctx, t, held+" || "+open)
	})
	if ask[bool](ctx, t, open) { // what was sent got lost: it is decided anew
		do(ctx, t, chromedp.SendKeys("#reason", "freeze"), chromedp.Click("button.decide"), has("Done: Fleet production is held"))
	}
	if h := i.fleet(t).Hold; h == nil || h.By != "ada" || h.Reason != "freeze" {
		t.Errorf("the hold is %+v", h)
	}
}
