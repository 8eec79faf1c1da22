// Package markdown reads the parts of a Markdown page that tests compare with the repository: blocks of code, headings and
// links. It supports only the Markdown that this repository's pages use, as GitHub renders it.
package markdown

import (
	"fmt"
	"regexp"
	"strings"
)

// Block is a fenced block of code.
type Block struct {
	// Language is the word after the opening fence, such as sh.
	Language string
	// Text is the content of the block.
	Text string
	// Line is the line of the opening fence, from 1.
	Line int
	// Heading is the heading that the block is below; empty above the first.
	Heading string
	// Marker is the text of an HTML comment on the line before the block; empty without one.
	Marker string
}

// Link is the target of a link, as it is written.
type Link struct {
	Target string
	Line   int
}

var (
	fence   = regexp.MustCompile("^ *```(.*)$")
	heading = regexp.MustCompile(`^#+ +(.*?) *$`)
	comment = regexp.MustCompile(`^ *<!-- *(.*?) *-->$`)
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	code    = regexp.MustCompile("`[^`]*`")
	// noAnchor matches the characters that GitHub omits from the anchor of a heading.
	noAnchor = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

// Blocks returns the blocks of a page in their order.
func Blocks(page string) []Block {
	var blocks []Block
	read(page, func(b Block) { blocks = append(blocks, b) }, func(int, string) {})
	return blocks
}

// Links returns the links of a page. It ignores links in code.
func Links(page string) []Link {
	var links []Link
	read(page, func(Block) {}, func(line int, text string) {
		for _, found := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			links = append(links, Link{found[1], line})
		}
	})
	return links
}

// Anchors returns the anchors that GitHub gives to the headings of a page.
func Anchors(page string) map[string]bool {
	anchors := map[string]bool{}
	read(page, func(Block) {}, func(_ int, text string) {
		if found := heading.FindStringSubmatch(text); found != nil {
			anchor := strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(found[1]), ""), " ", "-")
			free := anchor
			for i := 1; anchors[free]; i++ {
				free = fmt.Sprintf("%s-%d", anchor, i)
			}
			anchors[free] = true
		}
	})
	return anchors
}

// read calls one function for each block, and the other for each line outside of blocks.
func read(page string, block func(Block), line func(number int, text string)) {
	var open *Block
	below, marker := "", ""
	for i, text := range strings.Split(page, "\n") {
		found := fence.FindStringSubmatch(text)
		switch {
		case found != nil && open == nil:
			open = &Block{Language: found[1], Line: i + 1, Heading: below, Marker: marker}
		case found != nil:
			block(*open)
			open = nil
		case open != nil:
			open.Text += text + "\n"
		default:
			if found := heading.FindStringSubmatch(text); found != nil {
				below = found[1]
			}
			line(i+1, text)
		}
		marker = ""
		if found := comment.FindStringSubmatch(text); found != nil && open == nil {
			marker = found[1]
		}
	}
}
