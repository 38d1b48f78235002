// Package freeport finds a port for a server that can't be told to choose one itself, or that has to be reached at
// the same one after a restart.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Linux gives connections, and servers that take any port, those from 32768 on unless it is told otherwise
// (net.ipv4.ip_local_port_range). Below, a port that is free stays so until somebody wants this very one.
const first, last = 20_000, 32_767

// tries is how many ports are looked at: of so many one is free.
const tries = 100

// Of is an address of a host, such as 127.0.0.1, with a port that is free.
func Of(host string) (string, error) {
	var err error
	for range tries {
		address := net.JoinHostPort(host, strconv.Itoa(first+rand.IntN(last-first+1)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("looking for a free port of %s: %w", host, err)
}
