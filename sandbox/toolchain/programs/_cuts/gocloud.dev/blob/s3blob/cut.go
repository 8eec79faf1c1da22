// Package s3blob is empty: Pulumi's package authhelpers refuses its scheme.
package s3blob
