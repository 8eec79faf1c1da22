package rules_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/journal/components/rules"
)

type sizes struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

type part struct {
	Image    string `json:"image" required:"true"`
	Replicas int    `json:"replicas" default:"3" minimum:"1" maximum:"9"`
	Port     int    `json:"port" minimum:"0"`
	Level    string `json:"level" default:"info" enum:"info,warn"`
	On       bool   `json:"on" default:"true"`
	Sizes    sizes  `json:"sizes" default:"cpu=100m memory=64Mi"`
	Others   []part `json:"others"`
	TLSNames []string
	Numbers  []int  `json:"numbers" default:"1" minimum:"1"`
	Input    any    `json:"input"`
	Volumes  *int   `json:"volumes" minimum:"1"`
	Owner    string `json:"owner" required:"true" example:"user:alice"`
}

func TestDefaultsAreWhereNothingWasSet(t *testing.T) {
	p := part{Replicas: 2, Sizes: sizes{CPU: "1"}, Others: []part{{Level: "warn"}}}
	rules.SetDefaults(&p)
	assert.Equal(t, part{
		Replicas: 2, Level: "info", On: true, Sizes: sizes{"1", "64Mi"}, Numbers: []int{1},
		Others: []part{{Replicas: 3, Level: "warn", On: true, Sizes: sizes{"100m", "64Mi"}, Numbers: []int{1}}},
	}, p)
	assert.Panics(t, func() {
		rules.SetDefaults(&struct {
			Number int `default:"three"`
		}{})
	})
}

func TestEveryFieldThatItsTagsRefuseIsNamedByItsPath(t *testing.T) {
	p := part{Replicas: 10, Port: -1, Level: "loud", Numbers: []int{2, 0}, Volumes: new(0), Others: []part{{Image: "redis", Owner: "a", Replicas: 1, Level: "info"}, {Image: "redis", Owner: "a", Level: "info"}}}
	assert.EqualError(t, rules.CheckTags(&p).Err(), `image "": it is missing; write it
replicas "10": must be 1 to 9
port "-1": must be 0 or more
level "loud": must be one of info, warn
others[1].replicas "0": must be 1 to 9
numbers[1] "0": must be 1 or more
volumes "0": must be 1 or more
owner "": it is missing; write for example user:alice`)
	assert.EqualError(t, rules.CheckTags(&struct {
		Input any `json:"input" required:"true"`
	}{}).Err(), `input "": it is missing; write it`)
}

func TestAPathIsMadeOfTheNamesInAConfiguration(t *testing.T) {
	var f rules.Faults
	f.Refuse("name", "A", "no")
	f.Refuse("[1]", "B", "no")
	f.Refuse("", "C", "no")
	assert.EqualError(t, f.In("tenants[2]").In("stack").Err(), `stack.tenants[2].name "A": no
stack.tenants[2][1] "B": no
stack.tenants[2] "C": no`)
}
