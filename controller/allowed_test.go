package controller

import (
	"strings"
	"testing"

	"github.com/fenceline/fenceline/messages"
)

// Of a build's bases, nodes are given those alone that the fleet allows; the others are named with the reason.
func TestBasesThatAFleetDoesNotAllowAreRefused(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	good, evil := messages.Image("registry.example.com/stack"+digest), messages.Image("registry.example.com.evil.net/stack"+digest)
	may, refused := allowed([]string{"registry.example.com"}, []messages.Image{good, evil})
	if len(may) != 1 || may[0] != good || len(refused) != 1 || refused[0].Image != evil || !strings.Contains(refused[0].Reason, "preload_from") {
		t.Errorf("allowed %v, refused %+v", may, refused)
	}
	if may, refused := allowed(nil, []messages.Image{good, evil}); len(may) != 2 || len(refused) != 0 {
		t.Errorf("without a list: allowed %v, refused %+v", may, refused)
	}
}
