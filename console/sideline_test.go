package console

import (
	"strings"
	"testing"
	"time"

	"github.com/fenceline/fenceline/messages"
	"github.com/fenceline/fenceline/messages/queue/queuetest"
	"github.com/fenceline/fenceline/messages/store"
)

// TestARefusedPipelineFileIsSaid on the first page, with what is wrong, and not any more once it is mended.
func TestARefusedPipelineFileIsSaid(t *testing.T) {
	s := newSite(t)
	key := messages.RefusedFileKey("core", "/etc/fenceline/fenceline.yaml")
	revision, err := store.RefusedFiles(s.admin).Create(queuetest.Within(t), key, messages.RefusedFile{
		Producer: "core", Path: "/etc/fenceline/fenceline.yaml", Error: "line 7: " + hostile, Since: time.Now(),
	})
	queuetest.Must(t, err)
	look := func() sideState { return s.it.seen.side.read(queuetest.Within(t)) }
	if is := look(); len(is.files) != 1 || is.problem != "" {
		t.Fatalf("it is seen as %+v", is)
	}
	s.it.seen.side.asked.set()
	vera := s.as(t, "vera")
	a := vera.until(t, "/", "it is said", says("pipeline file refused"))
	if !strings.Contains(a.body, "/etc/fenceline/fenceline.yaml</code> on core") || !strings.Contains(a.body, "line 7: &lt;script&gt;") || strings.ContainsAny(a.body, "\x1b\x07") {
		t.Errorf("it says\n%s", a.body)
	}
	queuetest.Must(t, store.RefusedFiles(s.admin).Delete(queuetest.Within(t), key, revision))
	if is := look(); len(is.files) != 0 || is.problem != "" {
		t.Errorf("afterwards it is seen as %+v", is)
	}
}
