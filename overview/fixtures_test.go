package overview

import (
	"fmt"
	"time"

	"github.com/fenceline/fenceline/messages"
)

func image(n int) messages.Image {
	return messages.Image(fmt.Sprintf("registry.example.com/base@sha256:%064d", n))
}

func noon() time.Time { return time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC) }
