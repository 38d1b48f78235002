package buildkit

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/moby/buildkit/client"
)

// The oldest buildkitd that can be worked with: the first whose Dockerfile frontend answers
// frontend.convertllb, by which the bases of a build are found and pinned. Older ones fail each
// build, and those before 0.11 would also pass over the pins without a word.
const oldestMajor, oldestMinor = 0, 26

// versionForm is a release's version, v0.26.0 or v0.26.0-rc1.
var versionForm = regexp.MustCompile(`^v?(\d{1,9})\.(\d{1,9})\.(\d+)`)

// supported refuses a buildkitd that is too old. One that was built without a version, as `go build`
// does, says v0.0.0+unknown, and others may say anything: they are taken as they are.
func supported(v client.BuildkitVersion) error {
	const fix = "install a newer one, of version %d.%d or later"
	if v == (client.BuildkitVersion{}) {
		return fmt.Errorf("it does not tell its version, as those before 0.11: "+fix, oldestMajor, oldestMinor)
	}
	m := versionForm.FindStringSubmatch(v.Version)
	if m == nil {
		return nil
	}
	major, _ := strconv.Atoi(m[1]) // nine digits at most
	minor, _ := strconv.Atoi(m[2])
	unset := major == 0 && minor == 0
	if unset || major > oldestMajor || major == oldestMajor && minor >= oldestMinor {
		return nil
	}
	return fmt.Errorf("its version %s is too old: "+fix, v.Version, oldestMajor, oldestMinor)
}
