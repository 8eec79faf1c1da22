package kube

import (
	"fmt"

	autoscalingv2 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/autoscaling/v2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/journal/components/rules"
)

// ScaledByAnnotation is on a Deployment whose number of pods the cluster decides.
const ScaledByAnnotation = "journal.example.com/scaled-by"

// Autoscaling lets the cluster decide how many pods a server has, by their load. The server's replicas are the least. The
// cluster must serve resource metrics.
type Autoscaling struct {
	// MaxReplicas is the most pods there may be. The quota of the namespace must have room for them.
	MaxReplicas int `json:"maxReplicas" required:"true" example:"6" minimum:"3" maximum:"1000"`
	// TargetCPU is the mean CPU usage of the pods that is aimed at, in percent of their request. Above it pods are added, below
	// it they are taken away. A request that is also the limit is never exceeded, so the target is below 100.
	TargetCPU int `json:"targetCPU" default:"70" minimum:"10" maximum:"90"`
	// ScaleDownWindow is how long, in seconds, the load must stay lower before pods are taken away.
	ScaleDownWindow int `json:"scaleDownWindow" default:"300" minimum:"15" maximum:"3600"`
}

// Check returns the faults of the autoscaling of a server with so many replicas, except those of the tags.
func (s *Autoscaling) Check(replicas int) (f rules.Faults) {
	if s != nil && s.MaxReplicas >= 3 && s.MaxReplicas <= replicas { // its tag refuses less
		f.Refuse("maxReplicas", s.MaxReplicas, "there are %d replicas without load, so nothing could be added; write %d or more, or leave autoscaling out", replicas, replicas+1)
	}
	return f
}

// Most returns the most pods that a server with so many replicas has.
func (s *Autoscaling) Most(replicas int) int {
	if s == nil {
		return replicas
	}
	return max(replicas, s.MaxReplicas)
}

// declare declares the HorizontalPodAutoscaler of a part's Deployment.
func (s *Autoscaling) declare(ctx *pulumi.Context, name string, args ServerArgs, deployment pulumi.StringPtrOutput, parent pulumi.Resource) error {
	_, err := autoscalingv2.NewHorizontalPodAutoscaler(ctx, name, &autoscalingv2.HorizontalPodAutoscalerArgs{
		Metadata: args.Part.Meta(args.Namespace),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpecArgs{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReferenceArgs{
				ApiVersion: pulumi.String("apps/v1"), Kind: pulumi.String("Deployment"), Name: deployment.Elem(),
			},
			MinReplicas: pulumi.Int(args.Replicas),
			MaxReplicas: pulumi.Int(s.MaxReplicas),
			Metrics: autoscalingv2.MetricSpecArray{autoscalingv2.MetricSpecArgs{
				Type: pulumi.String("Resource"),
				Resource: autoscalingv2.ResourceMetricSourceArgs{
					Name:   pulumi.String("cpu"),
					Target: autoscalingv2.MetricTargetArgs{Type: pulumi.String("Utilization"), AverageUtilization: pulumi.Int(s.TargetCPU)},
				},
			}},
			Behavior: autoscalingv2.HorizontalPodAutoscalerBehaviorArgs{
				ScaleDown: autoscalingv2.HPAScalingRulesArgs{StabilizationWindowSeconds: pulumi.Int(s.ScaleDownWindow)},
			},
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return fmt.Errorf("autoscaler: %w", err)
	}
	return nil
}
