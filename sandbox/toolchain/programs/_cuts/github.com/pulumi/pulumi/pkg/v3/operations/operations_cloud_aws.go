// What was here is in operations_aws.go.

package operations
