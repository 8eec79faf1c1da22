// Package policies has no code. Its tests send the requests of tenants to a real API server that has the stack's admission
// policies, with the real controllers of workloads and of service accounts behind it.
package policies
