package producer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"
)

// TestAWebhookOfManyRefsIsBounded has a push of far more refs than are built, or told of.
func TestAWebhookOfManyRefsIsBounded(t *testing.T) {
	d := filtered(t, `    branches: ["built-*"]`)
	for _, prefix := range []string{"built-", "other-"} {
		var many delivery
		for i := range 20_000 {
			many.events = append(many.events, event{repositories: []string{d.pipeline.Repository}, ref: fmt.Sprintf("%s%s%d", branchRefs, prefix, i), commit: testCommit})
		}
		requests := many.requests("github", []*declared{d}, time.Now(), nil)
		if len(requests) > maxRequests+1 {
			t.Errorf("%d requests are made of a push of which none is stored", len(requests))
		}
		kept := 0
		for i := range many.events {
			if many.events[i].ignored != "" {
				kept++
			}
		}
		if kept > maxReasons {
			t.Errorf("%d reasons are kept, of which %d are told", kept, maxReasons)
		}
	}
}

// TestAllQuestionsOfAWebhookHaveOneLimit has repositories that don't answer, and a push of many branches.
func TestAllQuestionsOfAWebhookHaveOneLimit(t *testing.T) {
	d := filtered(t, `    paths: ["images/**"]`)
	synctest.Test(t, func(t *testing.T) {
		p := &Producer{asks: semaphore.NewWeighted(0)} // nobody gets a turn
		ask, began := p.asking(t.Context()), time.Now()
		for i := range 30 {
			if _, err := ask(d, fmt.Sprintf("%040d", i+1), testCommit); err == nil || !strings.Contains(err.Error(), errAsksTooMany.Error()) {
				t.Errorf("asked: %v", err)
			}
		}
		if took := time.Since(began); took > askTimeout {
			t.Errorf("its sender waits %v", took)
		}
	})
}
