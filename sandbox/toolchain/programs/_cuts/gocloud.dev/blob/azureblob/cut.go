// Package azureblob is empty: Pulumi's package authhelpers refuses its scheme.
package azureblob
