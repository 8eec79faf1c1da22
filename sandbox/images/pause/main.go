// Command pause is the first process of every pod, and holds the pod's namespaces open. In pods that share their process
// namespace it inherits orphans. It ignores SIGCHLD, so the kernel reaps them.
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
