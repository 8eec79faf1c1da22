// Package azureblob stands for the driver of Azure Blob Storage.
package azureblob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

// Scheme is that of the URLs of its buckets.
const Scheme = "azblob"

func init() { blob.DefaultURLMux().RegisterBucket(Scheme, opener{}) }

type opener struct{}

// OpenBucketURL refuses.
func (opener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this Pulumi is built without backends of the scheme " + Scheme)
}
