package producer

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestAPayloadOfManyPartsIsBounded has bodies that are small and of more parts than any push has.
func TestAPayloadOfManyPartsIsBounded(t *testing.T) {
	many := func(part string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(part+",", 2_000_000), ",") + "]"
	}
	for name, c := range map[string]struct {
		forge  forge
		header http.Header
		body   string
	}{
		"message of anything":   {generic{}, nil, `{"repository":"https://git.example.com/base.git","message":` + many("[]") + `}`},
		"message of words":      {generic{}, nil, `{"repository":"https://git.example.com/base.git","message":` + many(`""`) + `}`},
		"changes in the cloud":  {bitbucket{}, http.Header{"X-Event-Key": {cloudPush}}, `{"push":{"changes":` + many("{}") + `},"repository":{"full_name":"a/b"}}`},
		"changes in the centre": {bitbucket{}, http.Header{"X-Event-Key": {dataCenterPush}}, `{"changes":` + many("{}") + `,"repository":{"slug":"a","project":{"key":"b"}}}`},
		"commits":               {github{}, http.Header{"X-Github-Event": {"push"}}, `{"commits":` + many("{}") + `}`},
		"commits at Azure":      {generic{}, nil, `{"eventType":"git.push","resource":{"refUpdates":` + many("{}") + `,"repository":{"remoteUrl":"https://git.example.com/base.git"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(c.body)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.forge.read(c.header, body)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("it is read")
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 8*uint64(len(body)) {
				t.Errorf("reading %d bytes takes %d", len(body), took)
			}
		})
	}
}
