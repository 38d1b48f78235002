package freeport_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/fenceline/fenceline/freeport"
)

func TestAFreePortCanBeListenedOn(t *testing.T) {
	given := map[string]bool{}
	for range 20 {
		address, err := freeport.Of("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if given[address] {
			t.Errorf("%s is listened on, and given again", address)
		}
		given[address] = true
		if _, port, _ := net.SplitHostPort(address); len(port) != 5 || port >= strconv.Itoa(32768) {
			t.Errorf("%s may be given to any connection", address)
		}
	}
}

func TestAHostThatIsNotHere(t *testing.T) {
	if address, err := freeport.Of("192.0.2.1"); err == nil {
		t.Errorf("it gives %s", address)
	}
}
