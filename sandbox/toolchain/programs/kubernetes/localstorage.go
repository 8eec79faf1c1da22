package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// localProvisioner makes a folder on this node for each PersistentVolumeClaim. Its volumes are of the kind `local`,
// so that the kubelet gives them to the pod's fsGroup, which it does not do for the controller manager's own host
// path provisioner, and a process that is not root can write to them.
type localProvisioner struct {
	dir  string // the parent of all volumes
	node string // the node they are on
}

// Provision makes the folder of a new volume.
func (p localProvisioner) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(p.dir, o.PVName)
	if err := os.MkdirAll(path, 0o770); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.node}}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the folder of a released volume.
func (p localProvisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	path := filepath.Join(p.dir, volume.Name)
	if volume.Spec.Local == nil || volume.Spec.Local.Path != path {
		return fmt.Errorf("volume %s: its path is not %s, so it is not deleted", volume.Name, path)
	}
	return os.RemoveAll(path)
}

// runLocalStorage serves the StorageClasses that name it, with the arguments kubeconfig, folder of all volumes, node.
func runLocalStorage(ctx context.Context, client kubernetes.Interface, args []string) error {
	controller.NewProvisionController(ctx, client, "sandbox.journal.example.com/local", localProvisioner{dir: args[0], node: args[1]},
		controller.LeaderElection(false)).Run(ctx)
	return nil
}
