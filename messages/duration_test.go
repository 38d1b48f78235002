package messages

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for _, good := range []string{"0s", "90s", "1h30m", "1.5h"} {
		d, err := ParseDuration(good)
		if err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
		b, _ := json.Marshal(d)
		var back Duration
		if err := json.Unmarshal(b, &back); err != nil || back != d {
			t.Errorf("%s comes back as %s, %v", b, back, err)
		}
	}
	for _, bad := range []string{`""`, `"10"`, `10`, `"-1s"`, `null`, `{}`, `"1y"`} {
		var d Duration
		if err := json.Unmarshal([]byte(bad), &d); err == nil {
			t.Errorf("%s is taken as %s", bad, d)
		}
	}
	if Duration(time.Second).Std() != time.Second {
		t.Error("Std changes the duration")
	}
}
