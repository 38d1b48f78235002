package cli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fenceline/fenceline/messages/queue"
	"github.com/fenceline/fenceline/messages/queue/diagnosis"
)

func TestAnErrorThatNamesFieldsNamesTheFlags(t *testing.T) {
	cmd := newHoldCmd()
	named := &queue.FieldError{Fields: []string{diagnosis.FieldUser, diagnosis.FieldPassword, queue.FieldReplicas}, Err: errors.New("refused")}
	if got := nameFlags(cmd, fmt.Errorf("connecting: %w", named)).Error(); got != "connecting: refused (--user, --password-file)" {
		t.Errorf("it says %q; a flag that the command doesn't have is no help", got)
	}
	if got := nameFlags(cmd, errors.New("other")).Error(); got != "other" {
		t.Errorf("an error without fields became %q", got)
	}
}

// TestEveryFieldHasAFlag: an error that names a field without one would leave its reader alone.
func TestEveryFieldHasAFlag(t *testing.T) {
	for _, field := range []string{
		diagnosis.FieldUser, diagnosis.FieldPassword, diagnosis.FieldCredentialsFile, diagnosis.FieldCAFile, diagnosis.FieldCertFile,
		diagnosis.FieldKeyFile, queue.FieldInboxPrefix, queue.FieldReplicas,
	} {
		if fieldFlags[field] == "" {
			t.Errorf("%s has none", field)
		}
	}
}
