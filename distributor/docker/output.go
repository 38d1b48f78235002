package docker

import (
	"context"
	"fmt"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// lastLines is the end of what the container wrote, also when its time is up.
func (e *Engine) lastLines(ctx context.Context, id string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	logs, err := e.api().ContainerLogs(ctx, id, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(outputLines),
	})
	if err != nil {
		return ""
	}
	defer func() { _ = logs.Close() }()
	var out tail
	_, _ = stdcopy.StdCopy(&out, &out, logs) // as much as could be read
	return out.String()
}

// tail keeps the last bytes written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - outputBytes; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
	return len(p), nil
}

// String is the last lines of the text, without what is left of a character that was cut.
func (t *tail) String() string {
	text := strings.TrimRight(strings.ToValidUTF8(string(t.kept), ""), "\n")
	lines := strings.Split(text, "\n") // of all, where the engine is one that gives all
	return strings.Join(lines[max(0, len(lines)-outputLines):], "\n")
}
