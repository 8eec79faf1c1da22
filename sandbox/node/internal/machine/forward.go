package machine

import (
	"io"
	"net"
	"sync"
	"time"
)

// Forward passes each connection on the machine's listener to an address in the node's network, until the listener
// is closed.
func Forward(listener net.Listener, address string) {
	for {
		outside, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = outside.Close() }()
			inside, err := net.DialTimeout("tcp", address, 5*time.Second)
			if err != nil {
				return // nothing listens there yet: the client sees its connection closed
			}
			defer func() { _ = inside.Close() }()
			// Either side may close its half of the connection first, as HTTP clients and kubectl do.
			copyAll := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_ = to.(*net.TCPConn).CloseWrite()
			}
			var both sync.WaitGroup
			both.Go(func() { copyAll(inside, outside) })
			both.Go(func() { copyAll(outside, inside) })
			both.Wait()
		}()
	}
}
