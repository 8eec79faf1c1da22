//go:build e2e

// Package kubetest starts a real etcd and kube-apiserver for the tests of the programs that talk to one. There are no
// controllers, no nodes and no pods: a namespace that is deleted stays, with a deletionTimestamp, until Finalize.
package kubetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Program returns the multi-call binary that the sandbox builds: etcd, kube-apiserver and the others in one. Its path
// is in KUBERNETES_BIN, or it lies in the sandbox's cache.
func Program() (string, error) {
	path := os.Getenv("KUBERNETES_BIN")
	if path == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		path = filepath.Join(cache, "journal-sandbox", "bin", "kubernetes")
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w; build it with `make up`, or name it in KUBERNETES_BIN", err)
	}
	return path, nil
}

// Start starts the two. Whoever calls must call Stop of the environment.
func Start(configure func(*envtest.Environment)) (*envtest.Environment, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "kubetest-")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if err := os.Symlink(program, filepath.Join(folder, name)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(folder))
		}
	}
	// kubectl would leave what it knows of the API server in the home folder.
	if cache, err := os.UserCacheDir(); err != nil || os.Setenv("KUBECACHEDIR", filepath.Join(cache, "journal-sandbox", "e2e", "kubectl")) != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	environment := &envtest.Environment{BinaryAssetsDirectory: folder, ErrorIfCRDPathMissing: true}
	if configure != nil {
		configure(environment)
	}
	if _, err := environment.Start(); err != nil {
		return nil, errors.Join(err, environment.Stop(), os.RemoveAll(folder))
	}
	return environment, os.RemoveAll(folder) // What runs needs its links no more.
}

// Finalize ends a deleted namespace, as the namespace controller of a whole cluster does.
func Finalize(ctx context.Context, clients kubernetes.Interface, name string) error {
	_, err := clients.CoreV1().Namespaces().Finalize(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.UpdateOptions{})
	return err
}
