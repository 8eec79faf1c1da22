// Command registry serves a registry on this machine for tests of other modules, until its input ends. Each argument is a tag, such as
// team-a/app:1.0.0, for which it pushes an image of its own. It prints the references, with their digests, in the order of the arguments.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func run(tags []string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := http.Server{
		Handler:           registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.Serve(listener) }()
	for _, tag := range tags {
		packages := []byte("Package: program\nVersion: 1\nSection: " + tag + "\nArchitecture: amd64\n")
		image, err := crane.Image(map[string][]byte{"var/lib/dpkg/status": packages})
		if err != nil {
			return err
		}
		reference := listener.Addr().String() + "/" + tag
		if err := crane.Push(image, reference); err != nil {
			return err
		}
		digest, err := image.Digest()
		if err != nil {
			return err
		}
		fmt.Println(reference + "@" + digest.String())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, server.Close())
}
