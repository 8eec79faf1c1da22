package observe

import "testing"

func TestAProgramIsCalledAsItIsTyped(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		"/tmp/go-build1/logs": "logs", "logs": "logs", "/usr/local/bin/kubectl-journal_logs": "kubectl journal-logs",
	} {
		if name := nameOf(program, "logs"); name != want {
			t.Errorf("%s is called %q, not %q", program, name, want)
		}
	}
}
