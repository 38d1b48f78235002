package people

import (
	"context"
	"fmt"
	"unicode/utf8"
)

// MaxReason is the longest reason of a decision, in bytes: it stands in records that every node reads.
const MaxReason = 1000

// CheckReason refuses a reason that is too long, or no text.
func CheckReason(reason string) error {
	switch {
	case len(reason) > MaxReason:
		return fmt.Errorf("the reason has %d bytes: give it in %d or fewer", len(reason), MaxReason)
	case !utf8.ValidString(reason):
		return fmt.Errorf("the reason is not in UTF-8: write it as text")
	}
	return nil
}

type reasonKey struct{}

// Saying is a context for decisions whose person says why: the reason stands where their name does.
func Saying(ctx context.Context, reason string) context.Context {
	return context.WithValue(ctx, reasonKey{}, reason)
}

// because adds the person's reason, where there is one, to what is said of a decision.
func because(ctx context.Context, what string) string {
	if reason, _ := ctx.Value(reasonKey{}).(string); reason != "" {
		return what + ": " + reason
	}
	return what
}
