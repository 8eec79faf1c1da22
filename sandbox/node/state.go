package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"example.com/journal/sandbox/cache"
)

// state is what the node's process writes into its folder, for those who come later.
type state struct {
	PID       int       `json:"pid"` // as the machine sees it
	Since     time.Time `json:"since"`
	HTTPPort  int       `json:"httpPort"`
	HTTPSPort int       `json:"httpsPort"`
	APIPort   int       `json:"apiPort"`
	Ready     bool      `json:"ready"`
	Failure   string    `json:"failure,omitempty"` // why the node ended by itself
}

func nodeFolder(dir cache.Dir) string { return filepath.Join(dir.State(), "node") }

func stateFile(dir cache.Dir) string { return filepath.Join(nodeFolder(dir), "node.json") }

func readState(dir cache.Dir) (s state, known bool) {
	text, err := os.ReadFile(stateFile(dir))
	return s, err == nil && json.Unmarshal(text, &s) == nil
}

// isNode says whether a process is a node: the number in an old state file may belong to any other process by now.
func isNode(pid int) bool { return commandName(pid) == processName }

func lockFile(dir cache.Dir) string { return filepath.Join(nodeFolder(dir), "lock") }

// errLocked says that the lock has another holder.
var errLocked = errors.New("held by another process")

// wholeFile is the lock of a node. It belongs to the open file, not to a process, so the node inherits it, and the
// kernel releases it when the node is gone: no process number can be mistaken for a running node.
var wholeFile = unix.Flock_t{Type: unix.F_WRLCK}

// takeLock makes sure that there is one node only.
func takeLock(dir cache.Dir) (*os.File, error) {
	file, err := os.OpenFile(lockFile(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	lock := wholeFile
	if err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return file, nil
}

func lockIsHeld(dir cache.Dir) bool {
	file, err := os.Open(lockFile(dir))
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	lock := wholeFile
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK
}
