package observe

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/term"
)

// IsTerminal reports whether a person who wants colours reads what is written there.
func IsTerminal(out io.Writer) bool {
	file, isFile := out.(*os.File)
	return isFile && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}

// Escape writes every character that is not seen as Go and JSON write it, such as \x1b. Tabs stay. What a pod wrote is somebody
// else's input: no character of it moves the cursor, changes a colour or reverses the order of reading.
func Escape(text string) string {
	return replace(text, func(r rune) string {
		quoted := strconv.QuoteRuneToGraphic(r)
		return quoted[1 : len(quoted)-1]
	})
}

// EscapeJSON writes the same characters in a text in JSON as JSON does, so that it means the same.
func EscapeJSON(text string) string {
	return replace(text, func(r rune) (escaped string) {
		for _, unit := range utf16.AppendRune(nil, r) {
			escaped += fmt.Sprintf(`\u%04x`, unit)
		}
		return escaped
	})
}

// replace replaces the characters that are not seen.
func replace(text string, with func(rune) string) string {
	var out strings.Builder
	for _, r := range text {
		if r == '\t' || strconv.IsGraphic(r) {
			out.WriteRune(r)
		} else {
			out.WriteString(with(r))
		}
	}
	return out.String()
}
