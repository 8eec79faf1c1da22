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

// Name is how the node's process is called, and how this executable knows that it is to be the node.
const Name = "journal-sandbox-node"

// Ports are those of the machine on 127.0.0.1 that lead to the node.
type Ports struct {
	HTTPPort  int `json:"httpPort"`
	HTTPSPort int `json:"httpsPort"`
	APIPort   int `json:"apiPort"`
}

// Status is what the node's process writes into its folder, for those who come later.
type Status struct {
	Ports
	PID      int       `json:"pid"` // as the machine sees it
	Since    time.Time `json:"since"`
	Progress string    `json:"progress,omitempty"` // what the start does
	Ready    bool      `json:"ready"`
	Failure  string    `json:"failure,omitempty"` // why the node ended by itself
}

// Folder is where the node keeps its files.
func Folder(dir cache.Dir) string { return filepath.Join(dir.State(), "node") }

// LockFile is locked as long as the node lives: no process number can be mistaken for a running node.
func LockFile(dir cache.Dir) string { return filepath.Join(Folder(dir), "lock") }

const (
	statusName = "node.json"
	// Kubeconfig is the name of the administrator's kubeconfig in the folder.
	Kubeconfig = "kubeconfig"
)

// StatusFile holds the Status.
func StatusFile(dir cache.Dir) string { return filepath.Join(Folder(dir), statusName) }

// ReadStatus returns the last status of the node in dir, and whether there is one.
func ReadStatus(dir cache.Dir) (s Status, known bool) {
	text, err := os.ReadFile(StatusFile(dir))
	return s, err == nil && json.Unmarshal(text, &s) == nil
}

// Runs says whether the node in dir runs and this is its status. The number in an old one may belong to any other process
// by now.
func (s Status) Runs(dir cache.Dir) bool {
	return s.PID != 0 && disk.Locked(LockFile(dir)) && process.NameOf(s.PID) == Name
}

// Write replaces the status file in one step, as others read it at any time.
func (s Status) Write(path string) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return disk.Write(path, text, 0o600)
}
