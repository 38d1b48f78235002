package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// lines are HTTP connections that stay open. They send requests as they are and look at the
// status alone: what a full client does for each request would be measured with the server.
type lines struct {
	address string
	want    int // the status of each answer
	idle    chan *line
}

type line struct {
	conn net.Conn
	read *bufio.Reader
}

// send sends a request over an idle connection, or a new one, and wants 202 for it.
func (l *lines) send(ctx context.Context, request []byte) error {
	c, err := l.take(ctx)
	if err != nil {
		return err
	}
	if _, err := c.conn.Write(request); err != nil {
		return fmt.Errorf("sending a webhook: %w", err)
	}
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		return fmt.Errorf("reading a webhook's answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading a webhook's answer: %w", err)
	}
	if resp.StatusCode != l.want {
		return fmt.Errorf("a webhook is answered with %s: %s", resp.Status, body)
	}
	l.idle <- c
	return nil
}

func (l *lines) take(ctx context.Context) (*line, error) {
	select {
	case c := <-l.idle:
		return c, nil
	default:
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.address)
	if err != nil {
		return nil, fmt.Errorf("connecting to the producer: %w", err)
	}
	return &line{conn, bufio.NewReader(conn)}, nil
}

// close closes the connections. None is in use.
func (l *lines) close() {
	for {
		select {
		case c := <-l.idle:
			_ = c.conn.Close()
		default:
			return
		}
	}
}
