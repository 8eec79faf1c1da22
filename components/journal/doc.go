// Package journal declares the journal, an application of three parts: Redis, which stores the entries, API, the REST
// API over it, and Frontend, the static page. Exposure routes users to them, and Journal puts all of it together.
//
// A component takes its arguments as plain Go values and checks them before it creates anything. It reads no configuration and
// knows no environment.
package journal

// The types of the components, as `pulumi stack` shows them.
const (
	redisType    = "journal:components:Redis"
	apiType      = "journal:components:API"
	frontendType = "journal:components:Frontend"
	exposureType = "journal:components:Exposure"
	journalType  = "journal:components:Journal"
)

// partOf is the value of app.kubernetes.io/part-of.
const partOf = "journal"
