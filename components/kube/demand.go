package kube

// Demand is the most that one part of an application takes of its namespace's quota.
type Demand struct {
	// Part is the name of the part.
	Part string
	// Replicas is how many pods the part has, and Surge how many more it has while it is updated.
	Replicas, Surge int
	// Resources are those of each pod's main container, and Beside those of a second one, if there is one.
	Resources Resources
	Beside    *Resources `json:",omitempty"`
	// Volumes is how many volumes the part has, and VolumeSize the size of each.
	Volumes    int
	VolumeSize string
	// Services is how many Services the part has.
	Services int
}

// ServerDemand returns the demand of what NewServer declares: with autoscaling, that of the most pods.
func ServerDemand(part string, replicas int, autoscaling *Autoscaling, resources Resources) Demand {
	return Demand{Part: part, Replicas: autoscaling.Most(replicas), Surge: surge, Resources: resources, Services: 1}
}

// Pod returns the resources of a whole pod.
func (d Demand) Pod() Resources {
	if d.Beside == nil {
		return d.Resources
	}
	return d.Resources.Plus(*d.Beside)
}
