package images

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// htmlFolder is where NGINX finds the page in its image.
const htmlFolder = "usr/share/nginx/html/"

// reference is an attribute in the page's HTML that may name an asset. Its groups are the text before the name, and the name.
var reference = regexp.MustCompile(`((?:href|src)="/?)([^"]+)"`)

// page returns the files of services/journal-web that git tracks or would add. In the HTML it renames the assets to names with a
// hash of their content, such as journal.0123456789.css, so that a browser may cache them forever. The image also has them under
// their own names, which NGINX serves for the hash of another version.
func page(repo string, rev revision) (files, error) {
	page := files{}
	for _, name := range rev.files {
		target, isHTML := strings.CutPrefix(name, "services/journal-web/html/")
		switch {
		case isHTML:
			target = htmlFolder + target
		case name == "services/journal-web/nginx.conf":
			target = "etc/nginx/nginx.conf"
		default:
			continue
		}
		content, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil {
			return nil, err
		}
		page[target] = &file{Data: content, Mode: 0o644, ModTime: contentTime(content)}
	}
	for path, document := range page {
		if filepath.Ext(path) != ".html" {
			continue
		}
		document.Data = reference.ReplaceAllFunc(document.Data, func(attribute []byte) []byte {
			parts := reference.FindSubmatch(attribute)
			name := string(parts[2])
			asset, extension := page[htmlFolder+name], filepath.Ext(name)
			if asset == nil || extension == ".html" {
				return attribute
			}
			hash := sha256.Sum256(asset.Data)
			hashed := fmt.Sprintf("%s.%x%s", strings.TrimSuffix(name, extension), hash[:5], extension)
			page[htmlFolder+hashed] = asset
			return fmt.Appendf(nil, `%s%s"`, parts[1], hashed)
		})
		document.ModTime = contentTime(document.Data)
	}
	return page, nil
}

// contentTime gives different contents different times. NGINX derives a page's ETag and Last-Modified from its time and size. If
// all files had the same time, a browser would keep the old one of two pages of the same size.
func contentTime(content []byte) time.Time {
	sum := sha256.Sum256(content)
	const years = 20 * 365 * 24 * 60 * 60
	return time.Unix(int64(binary.BigEndian.Uint32(sum[:])%years), 0)
}
