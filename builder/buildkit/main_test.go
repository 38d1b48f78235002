package buildkit_test

import (
	"os"
	"testing"

	"github.com/fenceline/fenceline/standalone"
)

func TestMain(m *testing.M) {
	standalone.ServePlugin() // as which a buildkitd of these tests may have started this program
	os.Exit(m.Run())
}
