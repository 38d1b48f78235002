package messages

import (
	"testing"
)

func TestALetterKeepsAnySubjectButOnlyOursIsSentTo(t *testing.T) {
	for subject, whole := range map[string]bool{
		"fenceline.build.requested.v1.base": true, "a": true, "a.$b": true,
		"a.*": false, "a.>": false, "a..b": false, "a.b.": false, "a.é": false, "a b": false, "$JS.API.INFO": false,
	} {
		l := &DeadLetter{Stream: "fenceline-requests", Sequence: 1, Subject: subject}
		if err := l.Validate(); err != nil {
			t.Errorf("%q can't be kept: %v", subject, err)
		}
		if err := l.Whole(); (err == nil) != whole {
			t.Errorf("%q: %v", subject, err)
		}
	}
}
