package stacks

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// shape has a field of every kind that a configuration sets.
type shape struct {
	Shared
	Name     string             `json:"name"`
	Image    pulumi.StringInput `json:"image"`
	Life     string             `json:"life" default:"72h"`
	CPU      string             `json:"cpu" format:"quantity"`
	Replicas int                `json:"replicas" default:"3" minimum:"1" maximum:"9"`
	Port     int                `json:"port" minimum:"0"`
	Volumes  *int               `json:"volumes" minimum:"0"`
	On       bool               `json:"on"`
	Command  []string           `json:"command"`
	Numbers  []int              `json:"numbers" minimum:"1"`
	Part     *part              `json:"part"`
	Parts    []part             `json:"parts"`
	ByName   map[string]part    `json:"byName"`
	Internal string             `json:"-"`
	Hidden   string
}

type Shared struct {
	ReadOnly bool `json:"readOnly"`
}

type part struct {
	Name  string   `json:"name"`
	Owner string   `json:"owner" required:"true"`
	Hosts []string `json:"hosts"`
}

// decoded reads a text into a shape, and returns the faults in lines.
func decoded(t *testing.T, text string) (shape, []string) {
	t.Helper()
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &document))
	var s shape
	d := newDecoder()
	d.value("", document.Content[0], reflect.ValueOf(&s).Elem(), "")
	var lines []string
	for _, fault := range d.faults {
		lines = append(lines, fmt.Sprintf("%d: %v", d.at[fault], fault))
	}
	return s, lines
}

func TestEveryKindOfFieldIsDecoded(t *testing.T) {
	s, faults := decoded(t, `
name: &name journal
image: redis:7.4.2
cpu: 0.10
replicas: 5
port: 0
volumes: 0
on: true
readOnly: true
command: [kubectl, "5", *name]
numbers: [3, 2]
part: {}
parts:
  - name: |-
      a
      b
    owner: user:alice
byName: {nvidia.com/gpu: {owner: a}, small: {owner: b, hosts: []}}
`)
	assert.Empty(t, faults)
	assert.Equal(t, shape{
		Shared: Shared{ReadOnly: true}, Name: "journal", Image: pulumi.String("redis:7.4.2"), CPU: "0.10", Replicas: 5, Volumes: new(0), On: true,
		Command: []string{"kubectl", "5", "journal"}, Numbers: []int{3, 2}, Part: &part{}, Parts: []part{{Name: "a\nb", Owner: "user:alice"}},
		ByName: map[string]part{"nvidia.com/gpu": {Owner: "a"}, "small": {Owner: "b", Hosts: []string{}}},
	}, s)
}

// decodeFaults are texts with a fault, and what is said of it.
var decodeFaults = []struct{ text, says string }{
	// names
	{"replcas: 3", `1: replcas "3": unknown field; did you mean replicas?`},
	{"Replicas: 3", `1: Replicas "3": unknown field; did you mean replicas?`},
	{"colour: blue", `1: colour "blue": unknown field; remove it, or write one of readOnly, name, image, life,`},
	{"part: {ownr: a}", `1: part.ownr "a": unknown field; did you mean owner?`},
	{"Internal: a", `unknown field`},
	{"Hidden: a", `unknown field`},
	{"internal: a", `unknown field`},
	{"shared: {readOnly: true}", `unknown field`},
	{"name: a\nname: b", `2: name "b": must be there once, and is there already, in line 1; remove one of the two`},
	{"part: &a {owner: a}\nbyName: {b: {<<: *a}}", `2: byName.b "<<": merge keys are not supported; write the fields out`},
	{"{[a]: b}", `1:  "[...]": the name of a field must be a text`},
	{"byName: {' ': {owner: a}}", `1: byName[" "] "{...}": its name: it is empty`},
	// no value
	{"name:", `1: name "null": must have a value; write one, or leave the field out for the default`},
	{"part: ~", `1: part "null": must have a value`},
	{"parts: [null]", `1: parts[0] "null": must have a value`},
	{"name: ''", `1: name "": it is empty; write a text, or leave it out for the default`},
	{"command: ['']", `1: command[0] "": it is empty`},
	// types
	{"part: large", `1: part "large": a text where an object is expected; write its fields, such as {name: large, owner: ...}`},
	{"part: [large]", `1: part "[...]": a list where an object is expected; write its fields, such as {owner: ...}`},
	{"parts: [team-a]", `1: parts[0] "team-a": a text where an object is expected; write its fields, such as {name: team-a, owner: ...}`},
	{"parts: {name: a}", `1: parts "{...}": an object where a list is expected; begin each entry with a hyphen`},
	{"byName: small", `1: byName "small": a text where an object is expected; write name: value for each`},
	{"command: kubectl oidc-login", `1: command "kubectl oidc-login": a text where a list is expected; write [kubectl, oidc-login]`},
	{"name: [a, b]", `1: name "[...]": a list where one text is expected; write one of its entries alone`},
	{"name: {a: b}", `1: name "{...}": an object where a text is expected`},
	{"name: 5", `1: name "5": a number where a text is expected; write it in quotes: "5"`},
	{"name: true", `1: name "true": true or false where a text is expected; write it in quotes: "true"`},
	{"name: 2026-01-01", `1: name "2026-01-01": a date where a text is expected`},
	{"name: .inf", `1: name ".inf": not a finite number`},
	{"image: 5", `1: image "5": a number where a text is expected`},
	{"cpu: 010", `1: cpu "010": not a Kubernetes quantity; write digits alone, or a text with a suffix`},
	{"cpu: 1e3", `1: cpu "1e3": not a Kubernetes quantity`},
	{"cpu: 0x10", `1: cpu "0x10": not a Kubernetes quantity`},
	{"cpu: 1_000", `1: cpu "1_000": not a Kubernetes quantity`},
	{"cpu: .5", `1: cpu ".5": not a Kubernetes quantity`},
	{"cpu: -1", `1: cpu "-1": not a Kubernetes quantity`},
	{"cpu: .inf", `1: cpu ".inf": not a Kubernetes quantity`},
	{"cpu: true", `1: cpu "true": true or false where a text is expected`},
	{"life: 72", `1: life "72": no unit; write 72h`},
	{"name: !!str 5", `1: name "5": it has the type !!str in front`},
	{"name: !password a", `1: name "a": it has the type !password in front`},
	// numbers
	{"replicas: two", `1: replicas "two": not a whole number; write digits alone, such as 3`},
	{"replicas: 2.5", `1: replicas "2.5": not a whole number`},
	{"replicas: 0x5", `1: replicas "0x5": not a whole number`},
	{"replicas: '5'", `1: replicas "5": a text where a whole number is expected; write it without quotes`},
	{"replicas: true", `1: replicas "true": true or false where a whole number is expected; write 3`},
	{"replicas: {count: 3}", `1: replicas "{...}": an object where a whole number is expected; write 3`},
	{"replicas: 0", `1: replicas "0": must be 1 to 9`},
	{"replicas: 10", `1: replicas "10": must be 1 to 9`},
	{"replicas: 99999999999999999999", `1: replicas "99999999999999999999": too large; must be 1 to 9`},
	{"port: 4294967297", `1: port "4294967297": too large; must be 0 or more`},
	{"port: -1", `1: port "-1": must be 0 or more`},
	{"numbers: [1, 0]", `1: numbers[1] "0": must be 1 or more`},
	// true and false
	{"on: 'true'", `1: on "true": must be true or false, without quotes`},
	{"on: yes", `1: on "yes": must be true or false`},
	{"on: True", `1: on "True": must be true or false`},
	{"on: 1", `1: on "1": must be true or false`},
	{"on: [true]", `1: on "[...]": a list where true or false is expected`},
	// what nobody sees
	{"name: \"a\\u200bb\"", `1: name "a\u200bb": it has an invisible character, U+200B; remove it`},
	{"name: \"a\\tb\"", `1: name "a\tb": it has an invisible character, U+0009`},
	{"name: 'a '", `1: name "a ": it begins or ends with a space; remove it`},
	// secrets
	{"name: {secure: hunter2}", `1: name "[secret]": it is encrypted (secure:), and this field is no secret; write it in plain`},
	{"replicas: {secure: hunter2}", `1: replicas "[secret]": it is encrypted`},
	{"colour: {secure: hunter2}", `1: colour "[secret]": unknown field`},
	{"name: https://alice:hunter2@example.com", `1: name "https://[password]@example.com": it holds a private key or a password`},
	{"name: |\n  -----BEGIN PRIVATE KEY-----\n  hunter2", `1: name "[private key]": it holds a private key or a password`},
	{"colour: https://alice:hunter2@example.com", `1: colour "https://[password]@example.com": unknown field`},
}

func TestEachFaultOfAValueNamesLinePathValueRuleAndFix(t *testing.T) {
	for _, c := range decodeFaults {
		t.Run(c.text, func(t *testing.T) {
			_, faults := decoded(t, c.text)
			require.Len(t, faults, 1)
			assert.Contains(t, faults[0], c.says)
			assert.NotContains(t, faults[0], "hunter2")
		})
	}
}

func TestAllFaultsOfAnObjectAreFound(t *testing.T) {
	_, faults := decoded(t, "parts:\n- {ownr: a, hsts: b}\n- owner: 5\nreplicas: 0\nname: [a]\n")
	assert.Equal(t, []string{
		`2: parts[0].ownr "a": unknown field; did you mean owner?`,
		`2: parts[0].hsts "b": unknown field; did you mean hosts?`,
		`3: parts[1].owner "5": a number where a text is expected; write it in quotes: "5"`,
		`4: replicas "0": must be 1 to 9`,
		`5: name "[...]": a list where one text is expected; write one of its entries alone`,
	}, faults)
}

func TestAliasesAreBounded(t *testing.T) {
	text := "parts:\n- &a {owner: a, hosts: &h [" + strings.Repeat("a,", 100) + "]}\n"
	_, faults := decoded(t, text+"- *a\n- {owner: b, hosts: *h}\n")
	assert.Empty(t, faults)
	_, faults = decoded(t, text+strings.Repeat("- *a\n", 20))
	require.Len(t, faults, 1)
	assert.Contains(t, faults[0], "aliases stand for more than 1000 values; write the values out")

	_, faults = decoded(t, "byName: &a\n  b: {owner: *a}\n")
	require.NotEmpty(t, faults, "an alias that stands for itself")
}

// secretForms are the ways in which a secret may get into a file, each with the same secret.
var secretForms = []string{
	"https://alice:hunter2@example.com", "https://hunter2@example.com", `"-----BEGIN RSA PRIVATE KEY-----\nhunter2\n"`, "-----BEGIN PRIVATE KEY----- hunter2",
}

// FuzzDecode holds that no text makes the decoder panic, and that no message shows a secret, wherever one stands. A § stands for a
// secret. The seeds run with the tests; `go test -fuzz FuzzDecode ./stacks` looks for more.
func FuzzDecode(f *testing.F) {
	for _, c := range decodeFaults {
		f.Add("config:\n  journal:" + c.text)
	}
	for _, seed := range []string{
		"", "§", "config: §", "§: a", "config:\n  §: a", "config:\n  journal:redis: §", "config:\n  journal:redis: {image: §}", "config:\n  journal:redis: {§: a}",
		"config:\n  journal:redis: {replicas: §}", "config:\n  journal:tenants: [§]", "config:\n  journal:tenants: [{hosts: [§]}]", "config:\n  journal:classes: {§: {cpu: a}}",
		"config:\n  journal:cluster: {pullSecret: {registry: §, username: §, password: §, §: §}}", "config:\n  journal:cluster: {kubeconfig: {server: §, command: [§]}}", "config:\n  journal:namespace: &a §\n  journal:tenant: *a", "a: *§", "\t§", "'§", "{§", "!!§ a",
		"config:\n  journal:classes: &a {b: *a}", "config:\n  ? [§]\n  : a", "config:\n  ? &a {b: *a}\n  : c", "a: b: §", "config:\n  journal:readOnly: §",
		"config:\n  journal:claims: {image: a, share: {§: {classes: [§]}}}", "---\n---\n§", "- §", "config: {<<: §}",
	} {
		f.Add(seed)
	}
	dir := f.TempDir()
	declared, err := os.ReadFile(filepath.Join(root, "Pulumi.yaml"))
	require.NoError(f, err)
	require.NoError(f, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), declared, 0o600))
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "hunter") {
			t.Skip("the text itself has the secret, where it is none")
		}
		for _, secret := range secretForms {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.test.yaml"), []byte(strings.ReplaceAll(text, "§", secret)), 0o600))
			if err := Check(dir, "test"); err != nil {
				assert.NotContains(t, err.Error(), "hunter2")
				assert.Less(t, len(strings.Split(err.Error(), "\n")), maxFaults+3)
			}
			if !strings.Contains(text, "§") {
				return
			}
		}
	})
}
