package tenancy

import "fmt"

// limitOf is the CEL expression for a container's limit of a resource, as an optional value. The resource is an expression too.
func limitOf(container, resource string) string {
	return fmt.Sprintf(`%s.?resources.?limits[?%s]`, container, resource)
}

// requestOf is the same for what it requests. The API server takes a missing request from the limit.
func requestOf(container, resource string) string {
	return statedRequestOf(container, resource) + `.or(` + limitOf(container, resource) + `)`
}

// statedRequestOf is the same for the request that the container states itself.
func statedRequestOf(container, resource string) string {
	return fmt.Sprintf(`%s.?resources.?requests[?%s]`, container, resource)
}

// numberOf is the CEL expression for an optional quantity as a number, which is 0 without a value.
func numberOf(optional string) string {
	return fmt.Sprintf(`quantity(string(%s.orValue("0"))).asApproximateFloat()`, optional)
}
