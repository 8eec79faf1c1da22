// Package s3blob stands for the driver of Amazon S3.
package s3blob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

// Scheme is that of the URLs of its buckets.
const Scheme = "s3"

func init() { blob.DefaultURLMux().RegisterBucket(Scheme, opener{}) }

type opener struct{}

// OpenBucketURL refuses.
func (opener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this Pulumi is built without backends of the scheme " + Scheme)
}
