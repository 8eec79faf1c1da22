// Command pause is the first process of every pod: it holds the pod's namespaces open, and in pods that share their
// process namespace the kernel ends the orphans it inherits, as it ignores what becomes of its children.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGCHLD)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
}
