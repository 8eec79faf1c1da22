package markdown

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const page = `# The title

<!-- run -->
` + "```sh" + `
# a comment, no heading
echo '[no](link)'
` + "```" + `

## Who, what & why?
<!-- not run: it needs a cluster -->

` + "```console" + `
$ make up
` + "```" + `

See [the other page](other.md#part) and [the title](#the-title), not ` + "`[this](code)`" + `.

## Who, what & why?
`

func TestABlockHasItsLanguageItsHeadingAndTheCommentRightBeforeIt(t *testing.T) {
	assert.Equal(t, []Block{
		{Language: "sh", Text: "# a comment, no heading\necho '[no](link)'\n", Line: 4, Heading: "The title", Marker: "run"},
		{Language: "console", Text: "$ make up\n", Line: 12, Heading: "Who, what & why?"},
	}, Blocks(page))
}

func TestLinksInCodeAreNoLinks(t *testing.T) {
	assert.Equal(t, []Link{{"other.md#part", 16}, {"#the-title", 16}}, Links(page))
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	assert.Equal(t, map[string]bool{"the-title": true, "who-what--why": true, "who-what--why-1": true}, Anchors(page))
}
