// Package glamour leaves Markdown as it is.
package glamour

// TermRenderer renders nothing.
type TermRenderer struct{}

// TermRendererOption is an option of TermRenderer.
type TermRendererOption struct{}

// NewTermRenderer returns a renderer.
func NewTermRenderer(...TermRendererOption) (*TermRenderer, error) { return &TermRenderer{}, nil }

// WithAutoStyle is without effect.
func WithAutoStyle() TermRendererOption { return TermRendererOption{} }

// WithWordWrap is without effect.
func WithWordWrap(int) TermRendererOption { return TermRendererOption{} }

// Render returns the text as it is.
func (*TermRenderer) Render(text string) (string, error) { return text, nil }
