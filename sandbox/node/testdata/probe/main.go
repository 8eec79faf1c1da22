// Command probe runs in the test's pods. It is a pause program, a server that keeps what it is told on a volume, and a client
// that checks the network and its limits from inside.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(args) == 0 {
		<-ctx.Done()
		return nil
	}
	switch args[0] {
	case "serve":
		return serve(ctx, args[1])
	case "get":
		response, err := (&http.Client{Timeout: 3 * time.Second}).Get(args[1])
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		_, err = io.Copy(os.Stdout, response.Body)
		return err
	case "dial":
		_, err := net.DialTimeout("tcp", args[1], 2*time.Second)
		return err
	case "threads":
		return threads(ctx, args[1])
	case "id":
		_, err := fmt.Println(os.Getuid(), os.Getgid())
		return err
	}
	return errors.New("unknown command " + args[0])
}

// threads starts the given number of threads, which all wait, and says how many there are. Go ends a program that cannot get
// another thread.
func threads(ctx context.Context, text string) error {
	count, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	var started sync.WaitGroup
	for range count {
		started.Add(1)
		go func() {
			runtime.LockOSThread() // never unlocked, so that this goroutine keeps the thread to itself
			started.Done()
			<-ctx.Done()
		}()
	}
	started.Wait()
	_, err = fmt.Println(count, "threads")
	return err
}

// serve answers with the file at path, to which each start and each SIGTERM adds a word.
func serve(ctx context.Context, path string) error {
	words, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := words.WriteString("started "); err != nil {
		return err
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	server := &http.Server{Addr: ":8080", ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() {
		_, _ = words.WriteString("ended ")
		os.Exit(0)
	})
	fmt.Println("serving", path)
	return server.ListenAndServe()
}
