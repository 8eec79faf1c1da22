// Package docs holds the pages to the repository: what is generated is current, links lead somewhere, every shell block has run or says
// why not, and every key of the configuration exists.
package docs

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	doccomment "go/doc/comment"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the generated pages")

const root = ".."

// componentPackages are the packages with components, in the order in which a reader wants them.
var componentPackages = []string{"journal", "tenancy", "tenancy/claims", "ingress", "observe", "kube"}

// TestComponentsIsWhatTheCommentsSay writes docs/components.md with -update, and fails while it is not current.
func TestComponentsIsWhatTheCommentsSay(t *testing.T) {
	var page strings.Builder
	page.WriteString("<!-- Generated from the comments below components/ by `go test ./docs -update`. -->\n# Components\n\n" +
		"Every component is a Go type with a constructor and a struct of arguments. It checks its arguments before it creates\n" +
		"anything, and reads no configuration. The column *configuration* has the name of a field in a stack's file; a field\n" +
		"without one is set by Go code alone. `go doc ./components/journal` prints the same in a terminal.\n")
	for _, name := range componentPackages {
		if _, err := os.Stat(filepath.Join(root, "components", name)); err == nil {
			writePackage(t, &page, name)
		}
	}
	written, err := os.ReadFile("components.md")
	if *update {
		require.NoError(t, os.WriteFile("components.md", []byte(page.String()), 0o644))
		return
	}
	require.NoError(t, err)
	assert.Equal(t, page.String(), string(written), "docs/components.md is not what the comments say: go test ./docs -update")
}

// TestEveryPackageOfComponentsIsOnThePage finds packages that somebody has added and not listed.
func TestEveryPackageOfComponentsIsOnThePage(t *testing.T) {
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "components"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(filepath.Join(root, "components"), path)
		if err != nil || slices.Contains(componentPackages, filepath.ToSlash(name)) {
			return err
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || len(files) == 0 {
			return err
		}
		for _, component := range components(parse(t, name).Package) {
			t.Errorf("components/%s has the component %s, and is not on the page", name, component.Name)
		}
		return nil
	}))
}

func writePackage(t *testing.T, page *strings.Builder, name string) {
	t.Helper()
	p := parse(t, name)
	assert.NotEmpty(t, p.Doc, "components/%s has no package comment; a blank line above `package` detaches one", name)
	fmt.Fprintf(page, "\n## components/%s\n\n%s", name, rendered(p.Package, p.Doc))
	for _, example := range p.examples {
		fmt.Fprintf(page, "\n```go\n%s```\n", example)
	}
	args := map[string]bool{}
	for _, component := range components(p.Package) {
		fmt.Fprintf(page, "\n### %s.%s\n\n%s", p.Name, component.Name, rendered(p.Package, component.Doc))
		for _, constructor := range component.Funcs {
			fmt.Fprintf(page, "\n```go\n%s\n```\n", source(constructor.Decl))
			for _, parameter := range constructor.Decl.Type.Params.List {
				if pointer, ok := parameter.Type.(*ast.StarExpr); ok {
					if name, ok := pointer.X.(*ast.Ident); ok {
						args[name.Name] = true
						writeFields(page, p.Package, name.Name)
					}
				}
			}
		}
		writeOutputs(page, p.Package, component)
	}
	for _, kind := range p.Types { // the structs that those of arguments are made of
		if structure(kind) != nil && !args[kind.Name] && configured(structure(kind)) {
			fmt.Fprintf(page, "\n### %s.%s\n\n%s", p.Name, kind.Name, rendered(p.Package, kind.Doc))
			writeFields(page, p.Package, kind.Name)
		}
	}
}

// documented is a package with the code of its examples.
type documented struct {
	*doc.Package
	examples []string
}

// parse reads a package below components/. Of its tests only the examples count.
func parse(t *testing.T, name string) documented {
	t.Helper()
	files := token.NewFileSet()
	var parsed []*ast.File
	names, err := filepath.Glob(filepath.Join(root, "components", name, "*.go"))
	require.NoError(t, err)
	var p documented
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(files, name, text, parser.ParseComments)
		require.NoError(t, err)
		if !strings.HasSuffix(name, "_test.go") {
			parsed = append(parsed, file)
			continue
		}
		for _, example := range doc.Examples(file) {
			body := text[files.Position(example.Code.Pos()).Offset+1 : files.Position(example.Code.End()).Offset-1]
			code, _, _ := strings.Cut(string(body), "\t// Output:")
			p.examples = append(p.examples, strings.TrimPrefix(strings.ReplaceAll(code, "\n\t", "\n"), "\n"))
		}
	}
	p.Package, err = doc.NewFromFiles(files, parsed, "example.com/journal/components/"+filepath.ToSlash(name), doc.PreserveAST)
	require.NoError(t, err)
	return p
}

// components returns the types that embed pulumi.ResourceState and have a constructor.
func components(p *doc.Package) []*doc.Type {
	return slices.DeleteFunc(slices.Clone(p.Types), func(kind *doc.Type) bool {
		fields := structure(kind)
		return fields == nil || len(kind.Funcs) == 0 || !slices.ContainsFunc(fields.List, func(f *ast.Field) bool {
			return len(f.Names) == 0 && source(f.Type) == "pulumi.ResourceState"
		})
	})
}

// structure returns the fields of a type that is a struct, or nil.
func structure(kind *doc.Type) *ast.FieldList {
	for _, spec := range kind.Decl.Specs {
		if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.Name == kind.Name {
			if s, ok := spec.Type.(*ast.StructType); ok {
				return s.Fields
			}
		}
	}
	return nil
}

// configured says whether a configuration may set one of the fields.
func configured(fields *ast.FieldList) bool {
	return slices.ContainsFunc(fields.List, func(f *ast.Field) bool { return key(f) != "" })
}

// writeFields writes the table of the fields that a caller sets.
func writeFields(page *strings.Builder, p *doc.Package, name string) {
	i := slices.IndexFunc(p.Types, func(kind *doc.Type) bool { return kind.Name == name })
	if i < 0 || structure(p.Types[i]) == nil {
		return
	}
	fmt.Fprintf(page, "\n| `%s` | configuration | default, bounds | |\n|---|---|---|---|\n", name)
	for _, f := range structure(p.Types[i]).List {
		names := []string{source(f.Type)} // of an embedded struct
		if len(f.Names) > 0 {
			names = nil
		}
		for _, ident := range f.Names {
			if ident.IsExported() {
				names = append(names, ident.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		configuration := ""
		if key := key(f); key != "" {
			configuration = "`" + key + "`"
		}
		text := cmp.Or(cell(p, f), "As above.") // a comment may be about the fields below it, too
		fmt.Fprintf(page, "| `%s` `%s` | %s | %s | %s |\n", strings.Join(names, "`, `"), source(f.Type), configuration, bounds(f), text)
	}
}

// writeOutputs writes the list of what a component offers when it is there.
func writeOutputs(page *strings.Builder, p *doc.Package, component *doc.Type) {
	title := "\nIts outputs:\n\n"
	for _, f := range structure(component).List {
		for _, name := range f.Names {
			if name.IsExported() {
				fmt.Fprintf(page, "%s- `%s` `%s`: %s\n", title, name.Name, source(f.Type), cell(p, f))
				title = ""
			}
		}
	}
}

func tag(f *ast.Field) reflect.StructTag {
	if f.Tag == nil {
		return ""
	}
	return reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
}

// key is the name of a field in a configuration; empty for a field that no configuration sets.
func key(f *ast.Field) string {
	name, _, _ := strings.Cut(tag(f).Get("json"), ",")
	if name == "-" {
		return ""
	}
	return name
}

// bounds says what the tags of a field say of its value.
func bounds(f *ast.Field) string {
	tags := tag(f)
	var all []string
	if tags.Get("required") == "true" {
		all = append(all, "required")
	}
	if value := tags.Get("default"); value != "" {
		all = append(all, "`"+value+"`")
	}
	low, high := tags.Get("minimum"), tags.Get("maximum")
	switch {
	case low != "" && high != "":
		all = append(all, low+" to "+high)
	case low != "":
		all = append(all, low+" or more")
	case high != "":
		all = append(all, high+" or less")
	}
	if values := tags.Get("enum"); values != "" {
		all = append(all, "one of `"+strings.ReplaceAll(values, ",", "`, `")+"`")
	}
	return strings.Join(all, "; ")
}

// cell is the comment of a field as the text of a table's cell.
func cell(p *doc.Package, f *ast.Field) string {
	text := cmp.Or(f.Doc.Text(), f.Comment.Text())
	return strings.ReplaceAll(strings.Join(strings.Fields(rendered(p, text)), " "), "|", `\|`)
}

// rendered is a comment as Markdown, below the headings of the page.
func rendered(p *doc.Package, text string) string {
	printer := p.Printer()
	printer.HeadingLevel = 4
	printer.HeadingID = func(*doccomment.Heading) string { return "" }
	printer.DocLinkBaseURL = "https://pkg.go.dev"
	return string(printer.Markdown(p.Parser().Parse(text)))
}

// source is a node as Go writes it.
func source(node any) string {
	var text strings.Builder
	if f, ok := node.(*ast.FuncDecl); ok {
		node = &ast.FuncDecl{Name: f.Name, Type: f.Type}
	}
	if err := printer.Fprint(&text, token.NewFileSet(), node); err != nil {
		return err.Error()
	}
	return text.String()
}
