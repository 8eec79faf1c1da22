package observe

import (
	"embed"
	"fmt"
	"strings"
	"text/template"
)

var (
	//go:embed scrape.yaml scrape_pods.yaml alerts.yaml
	metricsTexts embed.FS
	//go:embed dashboards
	metricsDashboards embed.FS
)

// The names of the files that the pod of the store mounts.
const (
	scrapeFile = "scrape.yaml"
	alertsFile = "alerts.yaml"
)

// dashboardFiles are the dashboards of the store's page, which shows them in the order of their names.
var dashboardFiles = []string{"namespace.json", "the-journal.json"}

// configuration returns the files that the pod of the store mounts, by name: what it reads, its alerts, and its dashboards.
func (args MetricsServiceArgs) configuration() (map[string]string, error) {
	pods, err := metricsTexts.ReadFile("scrape_pods.yaml")
	if err != nil {
		return nil, err
	}
	data := map[string]any{
		"Namespace": args.Namespace,
		"Platform":  strings.Join(args.Platform, "|"), // DNS labels: none has a meaning in a regular expression
		"Interval":  args.Store.Interval, "Samples": args.Store.Samples, "Series": args.Store.Series,
		"Annotated": strings.TrimRight(string(pods), "\n"),
		"Quota":     args.Alerts.Quota, "Volume": args.Alerts.Volume, "Restarts": args.Alerts.Restarts,
		"For": args.Alerts.For, "Claim": args.Alerts.Claim,
	}
	files := map[string]string{}
	for _, name := range []string{scrapeFile, alertsFile} {
		// The texts have templates of vmalert's in braces.
		text, err := template.New(name).Delims("<<", ">>").Option("missingkey=error").
			Funcs(template.FuncMap{"percent": func(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }}).ParseFS(metricsTexts, name)
		if err != nil {
			return nil, err
		}
		var filled strings.Builder
		if err := text.Execute(&filled, data); err != nil {
			return nil, err
		}
		files[name] = filled.String()
	}
	for _, name := range dashboardFiles {
		text, err := metricsDashboards.ReadFile("dashboards/" + name)
		if err != nil {
			return nil, err
		}
		files[name] = string(text)
	}
	return files, nil
}

// bytesFlag is a flag with a fraction of a quantity as its value, in bytes.
func bytesFlag(flag, quantity string, numerator, denominator int64) string {
	return flag + "=" + times(bytesOf(quantity), numerator, denominator).FloatString(0)
}
