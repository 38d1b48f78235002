package store_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
	"github.com/nats-io/nats-server/v2/server"
)

func TestProducersShareTriggers(t *testing.T) {
	_, as := guarded(t)
	producer, operator := as("producer"), as("operator")
	must(t, store.Declare(within(t), operator, store.Layout{}))
	must(t, store.CheckTriggers(within(t), producer))
	records := queue.NewTexts(producer, producer.Space().TriggersBucket(), ">")
	revision, err := records.Create(within(t), "schedule.base.x", "then")
	must(t, err)
	_, err = records.Update(within(t), "schedule.base.x", "now", revision)
	must(t, err)
	for _, c := range []*queue.Client{producer, operator} {
		all, err := queue.NewTexts(c, c.Space().TriggersBucket(), ">").List(within(t))
		must(t, err)
		if len(all) != 1 || all[0].Value != "now" {
			t.Errorf("it has %+v", all)
		}
	}
}

// TestInstallationsFromBeforeTriggers takes requests as ever, and says what is missing: the bucket, or the right to it.
func TestInstallationsFromBeforeTriggers(t *testing.T) {
	_, as := queuetest.Guarded(t, func(o *server.Options) {
		var older server.Options
		conf := regexp.MustCompile(`(?m)"[^"\s]*fenceline-triggers[^"\s]*", |^.*(service|stream): .*fenceline-triggers.*\n`).ReplaceAllString(queuetest.GuardConfig(t), "")
		must(t, older.ProcessConfigString(conf))
		o.Accounts, o.Users = older.Accounts, older.Users
	})
	producer, controller := as("producer"), as("controller")
	must(t, store.Declare(within(t), controller, store.Layout{}))
	must(t, store.Declare(within(t), producer, store.Layout{}))
	err := store.CheckTriggers(within(t), producer)
	if !errors.Is(err, queue.ErrForbidden) || !strings.Contains(err.Error(), "fenceline init --dir") {
		t.Errorf("without the right: %v", err)
	}
	submit(t, producer, request("base", 1))

	_, as = guarded(t)
	producer, controller = as("producer"), as("controller")
	must(t, store.Declare(within(t), controller, store.Layout{}))
	must(t, queuetest.JetStream(t, as("admin")).DeleteKeyValue(within(t), producer.Space().TriggersBucket()))
	must(t, store.Declare(within(t), producer, store.Layout{}))
	if err = store.CheckTriggers(within(t), producer); !errors.Is(err, queue.ErrUndeclared) || !strings.Contains(err.Error(), "start a controller") {
		t.Errorf("without the bucket: %v", err)
	}
	submit(t, producer, request("base", 1))
}
