// Package queue: its help for tests is not in a file for tests, and brings all fake clients with it.
package queue
