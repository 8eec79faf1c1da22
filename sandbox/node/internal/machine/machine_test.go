package machine

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"example.com/journal/sandbox/cache"
)

func TestEachFolderHasItsOwnCgroup(t *testing.T) {
	one, other := newDir(t, t.TempDir()), newDir(t, t.TempDir())
	if CgroupOf(one.Root()) == CgroupOf(other.Root()) {
		t.Errorf("both are %s", CgroupOf(one.Root()))
	}
	same := newDir(t, one.Root()+"/")
	if CgroupOf(one.Root()) != CgroupOf(same.Root()) {
		t.Errorf("the same folder has %s and %s", CgroupOf(one.Root()), CgroupOf(same.Root()))
	}
}

func newDir(t *testing.T, root string) cache.Dir {
	t.Helper()
	dir, err := cache.At(root)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestForwardPassesBothWaysUntilBothAreFinished(t *testing.T) {
	// The server answers only when the client has closed its half.
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	go func() {
		connection, err := server.Accept()
		if err != nil {
			return
		}
		text, _ := io.ReadAll(connection)
		_, _ = connection.Write(bytes.ToUpper(text))
		_ = connection.Close()
	}()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = front.Close() }()
	go Forward(front, server.Addr().String())

	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := client.Write([]byte("entry")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); err != nil || string(got) != "ENTRY" {
		t.Errorf("the answer is %q, %v", got, err)
	}
}
