package producer

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rs/zerolog"
)

// TestOddRefsThatNobodyBuilds are legal to git, so that a forge sends them: it is told that nobody builds them, and never that its
// webhook is wrong; and none of it can order a log or a terminal about.
func TestOddRefsThatNobodyBuilds(t *testing.T) {
	for name, branch := range map[string]string{
		"quotes":            `it's-"quoted"`,
		"an emoji":          "feature/🚀-ü-中",
		"200 bytes":         strings.Repeat("a", 200),
		"250 bytes":         strings.Repeat("ä", 125),
		"a ref in itself":   "refs/heads/x",
		"a tag's ref":       "refs/tags/v1",
		"percent signs":     "50%25-%s%d%00",
		"shell's words":     "$(touch${IFS}x)`id`;&|<>!#",
		"a plus and commas": "a+b,c=d&e",
		"at signs":          "user@host/x@y",
		"a leading dash":    "-x",
		"HEAD":              "HEAD",
		"dots":              "a.b.c-d_e",
		"braces":            `{main,"x"}`,
		"a look-alike":      "maın",
		"main's child":      "main/x",
		"another case":      "MAIN",
		"direction marks":   "a\u202eniam",
		"half a letter":     "a\xff\xfe",
		"a backspace's sum": "a\u0300\u200b",
	} {
		for _, s := range senders() {
			t.Run(name+" by "+s.name, func(t *testing.T) {
				q := &memoryQueue{}
				status, a, _ := serve(newProducer(t, q, zerolog.Nop()), s.hook(testSecret, s.payload(baseURL, "refs/heads/"+branch, testCommit)))
				if status != http.StatusOK || len(q.stored) > 0 || !strings.Contains(a.Ignored, "no pipeline of this webhook's secret builds branch") {
					t.Errorf("status %d, %+v", status, a)
				}
				if !utf8.ValidString(a.Ignored) || strings.ContainsAny(a.Ignored, "\u202e\x1b") {
					t.Errorf("it says %q", a.Ignored)
				}
			})
		}
	}
}
