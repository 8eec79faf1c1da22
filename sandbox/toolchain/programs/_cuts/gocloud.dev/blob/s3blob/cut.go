// Package s3blob stands for the driver of Amazon S3. Without it a backend there is an unknown scheme.
package s3blob
