// Package authhelpers stands for Pulumi's way to Google's credentials, and refuses the backends that clouds have.
package authhelpers

import (
	"context"
	"fmt"
	"net/url"

	"gocloud.dev/blob"
)

func init() {
	for _, scheme := range []string{"azblob", "gs", "s3"} {
		blob.DefaultURLMux().RegisterBucket(scheme, without(scheme))
	}
}

// without is the driver of a scheme.
type without string

// OpenBucketURL refuses.
func (scheme without) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, fmt.Errorf("this Pulumi is built without backends of the scheme %s", scheme)
}

// GoogleCredentialsMux has the same drivers.
func GoogleCredentialsMux(context.Context) (*blob.URLMux, error) { return blob.DefaultURLMux(), nil }
