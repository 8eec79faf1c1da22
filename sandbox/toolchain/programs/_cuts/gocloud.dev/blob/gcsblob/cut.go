// Package gcsblob stands for the driver of Google Cloud Storage. Without it a backend there is an unknown scheme.
package gcsblob

// Scheme is that of the backend's URL.
const Scheme = "gs"
