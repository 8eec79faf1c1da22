// Package gcsblob has no driver: Pulumi's package authhelpers refuses its scheme.
package gcsblob

// Scheme is that of the URLs of its buckets.
const Scheme = "gs"
