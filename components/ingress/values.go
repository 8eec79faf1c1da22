package ingress

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/kube"
)

// The ports that the pods listen on, and those that users connect to.
const (
	webPort, webSecurePort = 8000, 8443
	httpPort, httpsPort    = 80, 443
)

// drainDelay is how long, in seconds, a terminating pod continues to serve, since it may still receive requests.
const drainDelay = 5

// values are the values of Traefik's chart that are set here, named as in the values.yaml of the default version:
type values struct {
	Image struct {
		Tag string `json:"tag,omitempty"`
	} `json:"image"`
	// AdditionalArguments are arguments of Traefik for which the chart has no value.
	AdditionalArguments []string `json:"additionalArguments"`
	Deployment          struct {
		Replicas  int `json:"replicas"`
		Lifecycle struct {
			PreStop struct {
				Sleep struct {
					Seconds int `json:"seconds"`
				} `json:"sleep"`
			} `json:"preStop"`
		} `json:"lifecycle"`
	} `json:"deployment"`
	UpdateStrategy struct {
		Type          string `json:"type"`
		RollingUpdate struct {
			MaxUnavailable int `json:"maxUnavailable"`
			MaxSurge       int `json:"maxSurge"`
		} `json:"rollingUpdate"`
	} `json:"updateStrategy"`
	PodDisruptionBudget struct {
		Enabled        bool `json:"enabled"`
		MaxUnavailable int  `json:"maxUnavailable"`
	} `json:"podDisruptionBudget"`
	PriorityClassName         string             `json:"priorityClassName,omitempty"`
	TopologySpreadConstraints []spreadConstraint `json:"topologySpreadConstraints"`
	Resources                 struct {
		Requests amounts `json:"requests"`
		Limits   amounts `json:"limits"`
	} `json:"resources"`
	SecurityContext    securityContext    `json:"securityContext"`
	PodSecurityContext podSecurityContext `json:"podSecurityContext"`
	IngressClass       class              `json:"ingressClass"`
	GatewayClass       class              `json:"gatewayClass"`
	Gateway            switched           `json:"gateway"`
	Providers          struct {
		KubernetesIngress struct {
			Enabled              bool   `json:"enabled"`
			IngressClass         string `json:"ingressClass"`
			StrictPrefixMatching bool   `json:"strictPrefixMatching"`
			served
		} `json:"kubernetesIngress"`
		KubernetesGateway struct {
			switched
			served
		} `json:"kubernetesGateway"`
		KubernetesCRD served `json:"kubernetesCRD"`
	} `json:"providers"`
	RBAC  switched `json:"rbac"`
	Ports struct {
		Web       entryPoint `json:"web"`
		WebSecure entryPoint `json:"websecure"`
	} `json:"ports"`
	Service struct {
		Type string `json:"type"`
	} `json:"service"`
	Logs struct {
		General struct {
			Format string `json:"format"`
		} `json:"general"`
		Access struct {
			Enabled bool   `json:"enabled"`
			Format  string `json:"format"`
		} `json:"access"`
	} `json:"logs"`
	Global struct {
		CheckNewVersion    bool `json:"checkNewVersion"`
		SendAnonymousUsage bool `json:"sendAnonymousUsage"`
	} `json:"global"`
}

// switched is a part of the chart that is on or off.
type switched struct {
	Enabled bool `json:"enabled"`
}

// served lists the namespaces whose objects a provider serves. An empty list stands for all.
type served struct {
	Namespaces []string `json:"namespaces,omitempty"`
}

// class is an IngressClass or a GatewayClass. Only an IngressClass can be the cluster's default.
type class struct {
	Enabled        bool   `json:"enabled"`
	Name           string `json:"name"`
	IsDefaultClass *bool  `json:"isDefaultClass,omitempty"`
}

// entryPoint is a port that Traefik listens on, and the port of the Service that leads to it.
type entryPoint struct {
	Port        int             `json:"port"`
	ExposedPort int             `json:"exposedPort"`
	Expose      map[string]bool `json:"expose"`
}

// amounts are what a container is given of each resource.
type amounts struct {
	CPU    string `json:"cpu"`
	Memory string `json:"memory"`
}

type spreadConstraint struct {
	LabelSelector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"labelSelector"`
	MaxSkew           int    `json:"maxSkew"`
	TopologyKey       string `json:"topologyKey"`
	WhenUnsatisfiable string `json:"whenUnsatisfiable"`
}

type securityContext struct {
	AllowPrivilegeEscalation bool `json:"allowPrivilegeEscalation"`
	Capabilities             struct {
		Drop []string `json:"drop"`
	} `json:"capabilities"`
	ReadOnlyRootFilesystem bool `json:"readOnlyRootFilesystem"`
}

type podSecurityContext struct {
	RunAsNonRoot   bool `json:"runAsNonRoot"`
	RunAsUser      int  `json:"runAsUser"`
	RunAsGroup     int  `json:"runAsGroup"`
	SeccompProfile struct {
		Type string `json:"type"`
	} `json:"seccompProfile"`
	Sysctls []sysctl `json:"sysctls,omitempty"`
}

type sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// newValues returns the values for arguments with their defaults in place.
func newValues(a ControllerArgs) values {
	var v values
	if a.Version == Defaults().Version {
		v.Image.Tag = traefikVersion
	}
	v.Deployment.Replicas = a.Replicas
	v.Deployment.Lifecycle.PreStop.Sleep.Seconds = drainDelay
	v.UpdateStrategy.Type = "RollingUpdate"
	v.UpdateStrategy.RollingUpdate.MaxSurge = 1 // and none may be unavailable
	v.PodDisruptionBudget.Enabled = true
	v.PodDisruptionBudget.MaxUnavailable = 1

	v.PriorityClassName = a.PriorityClass
	spread := spreadConstraint{MaxSkew: 1, TopologyKey: "kubernetes.io/hostname", WhenUnsatisfiable: "ScheduleAnyway"}
	spread.LabelSelector.MatchLabels = map[string]string{"app.kubernetes.io/name": "traefik"} // within the namespace
	v.TopologySpreadConstraints = []spreadConstraint{spread}

	v.Resources.Requests = amounts{a.Resources.CPU, a.Resources.Memory}
	v.Resources.Limits = amounts{a.Resources.CPULimit, a.Resources.MemoryLimit}
	v.SecurityContext.Capabilities.Drop = []string{"ALL"}
	v.SecurityContext.ReadOnlyRootFilesystem = true
	v.PodSecurityContext = podSecurityContext{RunAsNonRoot: true, RunAsUser: kube.UserID, RunAsGroup: kube.UserID}
	v.PodSecurityContext.SeccompProfile.Type = "RuntimeDefault"

	v.IngressClass = class{Enabled: true, Name: a.Class, IsDefaultClass: new(bool)}
	v.Providers.KubernetesIngress.Enabled = true
	v.Providers.KubernetesIngress.IngressClass = a.Class      // another controller's Ingresses are left alone
	v.Providers.KubernetesIngress.StrictPrefixMatching = true // as Kubernetes has it: /api is not the beginning of /apiary
	v.Providers.KubernetesIngress.served = served{a.Namespaces}
	v.Providers.KubernetesGateway.served = served{a.Namespaces}
	v.Providers.KubernetesCRD = served{[]string{a.MiddlewareNamespace}}
	for _, provider := range []string{"kubernetescrd", "kubernetesingress", "kubernetesgateway"} {
		if provider != "kubernetesgateway" || a.Gateway { // an argument of a provider that is off switches it on
			v.AdditionalArguments = append(v.AdditionalArguments, "--providers."+provider+".crossprovidernamespaces="+a.MiddlewareNamespace)
		}
	}
	v.RBAC.Enabled = len(a.Namespaces) == 0 // or the rights are in rights.go: the chart's read every Secret, or no IngressClass
	v.GatewayClass = class{Enabled: a.Gateway, Name: a.Class}
	v.Providers.KubernetesGateway.Enabled = a.Gateway
	v.Gateway.Enabled = false // each application declares its own

	web, webSecure := webPort, webSecurePort
	if a.Gateway {
		web, webSecure = httpPort, httpsPort
		// An ordinary user may then listen on ports 80 and 443 of the pod's own network. The "restricted" standard allows it.
		v.PodSecurityContext.Sysctls = []sysctl{{"net.ipv4.ip_unprivileged_port_start", "0"}}
	}
	exposed := map[string]bool{"default": true}
	v.Ports.Web = entryPoint{web, httpPort, exposed}
	v.Ports.WebSecure = entryPoint{webSecure, httpsPort, exposed}
	v.Service.Type = a.ServiceType

	v.Logs.General.Format = "json"
	v.Logs.Access.Enabled = true
	v.Logs.Access.Format = "json"
	return v
}

// inputs returns the values as the chart takes them.
func (v values) inputs() (pulumi.Map, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	plain := map[string]any{}
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	return pulumi.ToMap(plain), nil
}
