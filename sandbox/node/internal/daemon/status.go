package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"example.com/journal/sandbox/cache"
	"example.com/journal/sandbox/internal/disk"
	"example.com/journal/sandbox/node/internal/process"
)

// Name is the name of the node's process. By it, this executable knows that it is to be the node.
const Name = "journal-sandbox-node"

// Ports are the ports of 127.0.0.1 on the machine that lead to the node.
type Ports struct {
	HTTPPort  int `json:"httpPort"`
	HTTPSPort int `json:"httpsPort"`
	APIPort   int `json:"apiPort"`
}

// Status is what the node's process writes into its folder, for later commands.
type Status struct {
	Ports
	PID      int       `json:"pid"` // as the machine sees it
	Since    time.Time `json:"since"`
	Progress string    `json:"progress,omitempty"` // what the start is doing
	Ready    bool      `json:"ready"`
	Failure  string    `json:"failure,omitempty"` // why the node ended, unless somebody stopped it
}

// Folder is where the node keeps its files.
func Folder(dir cache.Dir) string { return filepath.Join(dir.State(), "node") }

// LockFile is locked as long as the node runs. Unlike a PID, the lock never stands for another process.
func LockFile(dir cache.Dir) string { return filepath.Join(Folder(dir), "lock") }

const (
	statusName = "node.json"
	// Kubeconfig is the name of the administrator's kubeconfig in the folder.
	Kubeconfig = "kubeconfig"
)

// StatusFile holds the Status.
func StatusFile(dir cache.Dir) string { return filepath.Join(Folder(dir), statusName) }

// ReadStatus returns the last status of the node in dir, and whether that node runs. The PID in an old status may belong to
// another process by now.
func ReadStatus(dir cache.Dir) (s Status, runs bool) {
	text, err := os.ReadFile(StatusFile(dir))
	if err != nil || json.Unmarshal(text, &s) != nil {
		return Status{}, false
	}
	return s, s.PID != 0 && disk.Locked(LockFile(dir)) && process.NameOf(s.PID) == Name
}

// WriteStatus replaces a status file in one step, since others read it at any time.
func WriteStatus(path string, s Status) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return disk.Write(path, text, 0o600)
}
