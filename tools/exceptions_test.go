package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// exceptions are what the gates let pass for a while. The file exceptions.json has them.
type exceptions struct {
	Licences        []licenceException       `json:"licences"`
	Vulnerabilities []vulnerabilityException `json:"vulnerabilities"`
}

// term says why an exception is made, and until when it holds. Then somebody has to decide again.
type term struct {
	Reason string `json:"reason"`
	// Until is the last day, such as 2027-01-31.
	Until string `json:"until"`
}

// licenceException lets a module pass that has a licence which is not allowed, or one that nobody recognizes: "unknown".
type licenceException struct {
	Module  string `json:"module"`
	Licence string `json:"licence"`
	term
}

// vulnerabilityException lets a vulnerability pass in one of the repository's modules, such as services.
type vulnerabilityException struct {
	ID     string `json:"id"`
	Module string `json:"module"`
	term
}

// longest is how far away the end of an exception may be.
const longest = 183 * 24 * time.Hour

// readExceptions returns what a file says, if all of it is reasoned and holds on a day.
func readExceptions(path string, today time.Time) (e exceptions, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return e, err
	}
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&e); err != nil {
		return e, fmt.Errorf("%s: %w", path, err)
	}
	var faults []error
	check := func(at, name, second string, t term) {
		end, err := time.Parse(time.DateOnly, t.Until)
		switch {
		case name == "" || second == "":
			faults = append(faults, fmt.Errorf("%s: %s: what is excepted must be named, and where", path, at))
		case strings.TrimSpace(t.Reason) == "":
			faults = append(faults, fmt.Errorf("%s: %s: %s has no reason; write why nobody is harmed", path, at, name))
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %s: %s: until %q: must be a day such as 2027-01-31", path, at, name, t.Until))
		case today.After(end.Add(24 * time.Hour)):
			faults = append(faults, fmt.Errorf("%s: %s: the exception for %s has ended on %s; repair it, or decide again", path, at, name, t.Until))
		case end.After(today.Add(longest)):
			faults = append(faults, fmt.Errorf("%s: %s: the exception for %s ends on %s; write a day within half a year", path, at, name, t.Until))
		}
	}
	for n, each := range e.Licences {
		check(fmt.Sprintf("licences[%d]", n), each.Module, each.Licence, each.term)
	}
	for n, each := range e.Vulnerabilities {
		check(fmt.Sprintf("vulnerabilities[%d]", n), each.ID, each.Module, each.term)
	}
	return e, errors.Join(faults...)
}

// excepted returns those of this repository.
func excepted(t *testing.T) exceptions {
	t.Helper()
	e, err := readExceptions("exceptions.json", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnExceptionHasAReasonAndAnEnd(t *testing.T) {
	today := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	const good = `"module": "services", "id": "GO-2026-0001", "reason": "not called", `
	for _, c := range []struct{ sentence, text, says string }{
		{"none", `{"licences": [], "vulnerabilities": []}`, ""},
		{"one that holds until today", `{"vulnerabilities": [{` + good + `"until": "2027-01-31"}]}`, ""},
		{"one that ended yesterday", `{"vulnerabilities": [{` + good + `"until": "2027-01-30"}]}`, "vulnerabilities[0]: the exception for GO-2026-0001 has ended on 2027-01-30"},
		{"one that ends in years", `{"vulnerabilities": [{` + good + `"until": "2037-01-30"}]}`, "write a day within half a year"},
		{"one without an end", `{"vulnerabilities": [{"module": "services", "id": "GO-2026-0001", "reason": "not called"}]}`, `until "": must be a day`},
		{"one without a reason", `{"licences": [{"module": "example.com/a", "licence": "AGPL-3.0", "reason": " ", "until": "2027-02-01"}]}`, "licences[0]: example.com/a has no reason"},
		{"one for everything", `{"licences": [{"module": "example.com/a", "reason": "x", "until": "2027-02-01"}]}`, "must be named, and where"},
		{"one that is misspelt", `{"licences": [{"modul": "example.com/a"}]}`, `unknown field "modul"`},
		{"two faults", `{"licences": [{}], "vulnerabilities": [{}]}`, "vulnerabilities[0]"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "exceptions.json")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := readExceptions(path, today)
			if (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// unused returns the exceptions that nothing needed.
func unused[E comparable](all []E, used map[E]bool) (left []E) {
	return slices.DeleteFunc(slices.Clone(all), func(e E) bool { return used[e] })
}
