package machine

import (
	"context"
	"io"
	"net"
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
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			inside, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err != nil {
				return // nothing listens there yet: the client sees its connection closed
			}
			defer func() { _ = inside.Close() }()
			join(outside.(*net.TCPConn), inside.(*net.TCPConn))
		}()
	}
}

// join copies both ways until both are finished; either side may end its half first, as HTTP clients and kubectl do.
func join(a, b *net.TCPConn) {
	done := make(chan struct{}, 2)
	for _, way := range [][2]*net.TCPConn{{a, b}, {b, a}} {
		go func() {
			_, err := io.Copy(way[0], way[1])
			if err != nil {
				_ = way[0].Close() // a broken connection is broken for the other side too
			} else {
				_ = way[0].CloseWrite()
			}
			done <- struct{}{}
		}()
	}
	<-done
	<-done
}
