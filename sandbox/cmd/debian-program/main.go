// Command debian-program prints the path of a script that runs a program out of a Debian package, without installing
// the package: debian-program redis-server usr/bin/redis-server. The first call downloads it; root is not needed.
package main

import (
	"context"
	"fmt"
	"os"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/debian"
)

func main() {
	wrapper, err := wrapper(context.Background(), os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println(wrapper)
}

func wrapper(ctx context.Context, args []string) (string, error) {
	if len(args) != 2 {
		return "", fmt.Errorf("usage: debian-program <package> <path of the program in the package>, not %d arguments", len(args))
	}
	dir, err := cache.Open()
	if err != nil {
		return "", err
	}
	root, err := debian.Extract(ctx, dir.Debian(), args[0], args[0])
	if err != nil {
		return "", err
	}
	return debian.Wrapper(root, args[1])
}
