package metrics

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// count is what a builder has counted of a pipeline's builds.
func count(b *Builder, pipeline string) float64 {
	return testutil.ToFloat64(b.builds.WithLabelValues(pipeline, "succeeded", "none"))
}

// TestNewNamesFindPlaces over years in which pipelines come and go, and one stays.
func TestNewNamesFindPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("v1").Builder()
		for day := range 3 * 365 {
			b.Ended("always", "succeeded", "")
			for n := range 2 {
				b.Ended(fmt.Sprintf("p%d-%d", day, n), "succeeded", "")
			}
			<-time.After(24 * time.Hour)
		}
		if n := testutil.CollectAndCount(b.builds); n > mostNames {
			t.Errorf("%d pipelines are told apart, more than %d", n, mostNames)
		}
		if got := count(b, "always"); got != 3*365 {
			t.Errorf("of %d builds of the pipeline that stays %v are counted", 3*365, got)
		}
		if got := count(b, fmt.Sprintf("p%d-1", 3*365-1)); got != 1 {
			t.Errorf("the newest pipeline has %v builds", got)
		}
	})
}

// TestAFloodOfNamesTakesNobodysPlace.
func TestAFloodOfNamesTakesNobodysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("v1").Builder()
		b.Ended("mine", "succeeded", "")
		<-time.After(keptFor - time.Hour)
		for i := range 2_000 {
			b.Ended(fmt.Sprint("flood", i), "succeeded", "")
		}
		if got, n := count(b, "mine"), testutil.CollectAndCount(b.builds); got != 1 || n != mostNames+1 {
			t.Errorf("mine has %v builds among %d pipelines", got, n)
		}
	})
}

// TestQueuesThatWaitAreTold though many pipelines are on record of which nothing waits.
func TestQueuesThatWaitAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New("v1").Controller()
		var b Backlog
		for i := range 2 * mostNames {
			b.Pipelines = append(b.Pipelines, PipelineBacklog{Pipeline: fmt.Sprint("old", i)})
		}
		if n := len(c.backlog(b, nil)); n != mostNames+1 {
			t.Errorf("%d are told", n)
		}
		b.Pipelines = append(b.Pipelines, PipelineBacklog{"new", 3, time.Minute})
		<-time.After(keptFor)
		told := c.backlog(b, nil)
		want := queueOldest.told(60, "new")
		for _, m := range told {
			if m.Desc().String() == want.Desc().String() {
				return
			}
		}
		t.Error("the pipeline of which something waits is not told")
	})
}
