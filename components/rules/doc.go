// Package rules holds the rules for names, hosts, images and quantities, and the faults that report each broken rule by its
// path. Its functions are pure and do not depend on Pulumi.
package rules
