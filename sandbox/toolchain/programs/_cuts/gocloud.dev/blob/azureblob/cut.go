// Package azureblob stands for the driver of Azure Blob Storage. Without it a backend there is an unknown scheme.
package azureblob
