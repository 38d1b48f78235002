package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// StreamInfo is what the server says of a stream.
type StreamInfo struct {
	Now      time.Time     // by the server's clock, by which everything stored is stamped; zero before nats-server 2.10
	Made     time.Time     // when the stream was made
	MaxAge   time.Duration // of its messages; 0: they stay
	MaxBytes int64         // that it takes; 0 or less: no bound
	Refuses  bool          // it refuses messages at its bounds, rather than drop the oldest
	Messages uint64        // that it has
	Bytes    uint64        // that they take
	First    uint64        // sequence of the first message
	Last     uint64        // sequence of the last one that was ever stored
}

// Info asks for a stream. ErrUndeclared where there is none, ErrForbidden for whoever may not ask.
func (c *Client) Info(ctx context.Context, stream string) (StreamInfo, error) {
	m, err := c.ask(ctx, "$JS.API.STREAM.INFO."+stream, nil)
	if err != nil {
		return StreamInfo{}, err
	}
	s, err := streamInfo(stream, m.Data)
	return s, c.refused(err)
}

// Has tells whether a stream has a message from one sequence up to before another, by its leader, which is never stale as those
// may be that answer Next. The rest of the answer is what Info says.
func (c *Client) Has(ctx context.Context, stream string, from, to uint64) (bool, StreamInfo, error) {
	m, err := c.ask(ctx, "$JS.API.STREAM.INFO."+stream, []byte(`{"deleted_details":true}`))
	if err != nil {
		return false, StreamInfo{}, err
	}
	s, err := streamInfo(stream, m.Data)
	if err != nil {
		return false, s, c.refused(err)
	}
	var of struct {
		State struct {
			Deleted []uint64 `json:"deleted"`
		} `json:"state"`
	}
	if err := json.Unmarshal(m.Data, &of); err != nil {
		return false, s, fmt.Errorf("reading the answer of stream %s: %w", stream, err)
	}
	from, to = max(from, s.First), min(to, s.Last+1)
	if from >= to {
		return false, s, nil
	}
	has := to - from
	for _, gone := range of.State.Deleted {
		if gone >= from && gone < to {
			has--
		}
	}
	return has > 0, s, nil
}

func streamInfo(stream string, answer []byte) (StreamInfo, error) {
	var info struct {
		Now    time.Time `json:"ts"`
		Made   time.Time `json:"created"`
		Config struct {
			MaxAge   time.Duration `json:"max_age"`
			MaxBytes int64         `json:"max_bytes"`
			Discard  string        `json:"discard"`
		} `json:"config"`
		State struct {
			Messages uint64 `json:"messages"`
			Bytes    uint64 `json:"bytes"`
			First    uint64 `json:"first_seq"`
			Last     uint64 `json:"last_seq"`
		} `json:"state"`
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer, &info); {
	case err != nil:
		return StreamInfo{}, fmt.Errorf("reading the answer of stream %s: %w", stream, err)
	case info.Error != nil && info.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return StreamInfo{}, fmt.Errorf("stream %s: %w (%s)", stream, ErrUndeclared, info.Error.Description)
	case info.Error != nil:
		return StreamInfo{}, fmt.Errorf("asking for stream %s: %w", stream, classify(info.Error))
	}
	return StreamInfo{
		Now: info.Now, Made: info.Made, MaxAge: info.Config.MaxAge, MaxBytes: info.Config.MaxBytes, Refuses: info.Config.Discard == "new",
		Messages: info.State.Messages, Bytes: info.State.Bytes, First: info.State.First, Last: info.State.Last,
	}, nil
}

// Subjects counts the messages on each subject of a stream that a filter matches.
func (c *Client) Subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	s, err := c.stream(ctx, stream)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	info, err := counted(ctx, c, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.Info(ctx, jetstream.WithSubjectFilter(filter))
	})
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	return info.State.Subjects, nil
}

// Missing tells whether the server answers and has no such stream.
func (c *Client) Missing(ctx context.Context, stream string) (bool, error) {
	m, err := c.ask(ctx, "$JS.API.STREAM.INFO."+stream, nil)
	if err != nil {
		return false, err
	}
	_, err = streamInfo(stream, m.Data)
	if errors.Is(err, ErrUndeclared) && !errors.Is(err, ErrUnavailable) {
		return true, nil
	}
	return false, c.refused(err)
}

// Purge removes the messages on a subject below a sequence, or all of them where that is 0, and
// returns how many they were.
func (c *Client) Purge(ctx context.Context, stream, subject string, below uint64) (uint64, error) {
	request := map[string]any{"filter": subject}
	if below > 0 {
		request["seq"] = below
	}
	body, err := json.Marshal(request)
	if err != nil {
		return 0, err
	}
	answer, err := c.ask(ctx, "$JS.API.STREAM.PURGE."+stream, body)
	if err != nil {
		return 0, err
	}
	var a struct {
		Error  *jetstream.APIError `json:"error"`
		Purged uint64              `json:"purged"`
	}
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return 0, c.refused(fmt.Errorf("reading the answer of stream %s: %w", stream, err))
	}
	if a.Error != nil {
		return 0, c.refused(classify(a.Error))
	}
	return a.Purged, nil
}
