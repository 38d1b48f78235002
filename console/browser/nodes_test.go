package browser

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/fenceline/fenceline/messages"
)

// drawTime bounds what drawing a page of ten thousand nodes may take of a browser's main thread: a fault takes far more, and a slow
// machine twice the half second that it takes.
const drawTime = 2 * time.Second

// busy is how long the page's main thread has had a processor, so that other programs on the machine don't count.
func busy(ctx context.Context, t *testing.T) time.Duration {
	t.Helper()
	all, err := chromedp.Run(ctx, func(ctx context.Context, target *chromedp.Target) (performance.GetMetricsResult, error) {
		if _, err := cdp.Call(ctx, target, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
			return performance.GetMetricsResult{}, err
		}
		return cdp.Call(ctx, target, performance.GetMetrics, cdp.Empty{})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all.Metrics {
		if m.Name == "ThreadTime" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	t.Fatalf("the browser tells no ThreadTime: %+v", all.Metrics)
	return 0
}

// TestTenThousandNodes are drawn at once, and the change of one is put in its place.
func TestTenThousandNodes(t *testing.T) {
	i := newInstallation(t, 10_000)
	ctx := chromium(t)
	signIn(ctx, t, i)
	do(ctx, t, has("9998 present"))
	before := busy(ctx, t)
	do(ctx, t, chromedp.Navigate(i.url+"/fleets/production?per=10000"), has("1 to 10000 of 10000 nodes"), until(`document.querySelectorAll(".cells a").length === 10000`),
		until(`document.querySelector(".cells a:last-child").getBoundingClientRect().height > 0`))
	took := busy(ctx, t) - before
	loaded := ask[float64](ctx, t, `performance.getEntriesByType("navigation")[0].loadEventEnd`)
	t.Logf("drawing took %s of the browser's main thread; the page was loaded after %.0f ms", took, loaded)
	if took > drawTime {
		t.Errorf("drawing took %s of the browser's main thread, above %s", took, drawTime)
	}
	_ = ask[int](ctx, t, `window.kept = document.getElementById("n-node-09000"); kept.scrollIntoView(); kept.focus(); window.was = [scrollY, kept.getBoundingClientRect().top]; 0`)
	i.node(t, 9000, func(s *messages.NodeStatus) { s.Engine.Error = "gone" })
	do(ctx, t, until(`document.getElementById("n-node-09000").className === "behind"`), has("2 behind"))
	if !ask[bool](ctx, t, `kept === document.getElementById("n-node-09000") && kept === document.activeElement && scrollY === was[0] && kept.getBoundingClientRect().top === was[1]`) {
		t.Error("the cell, the focus or the page was moved")
	}
}
