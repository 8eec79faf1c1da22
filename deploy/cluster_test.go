//go:build e2e

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// kubeconfig is that of a real API server and its etcd, without controllers, nodes and pods.
var kubeconfig string

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (code int, err error) {
	folder, err := os.MkdirTemp("", "deploy-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	ctx, stop := context.WithCancel(context.Background())
	ended, err := startCluster(ctx, folder)
	defer func() {
		stop()
		for _, wait := range ended {
			wait()
		}
	}()
	if err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// startCluster starts the API server, and returns how to wait for the end of what runs, once the context has ended.
func startCluster(ctx context.Context, folder string) (ended []func(), err error) {
	program, err := exec.LookPath("kubernetes")
	if err != nil {
		return nil, fmt.Errorf("%w; run the tests with `make e2e-programs RUN=deploy`", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	path := func(name string) string { return filepath.Join(folder, name) }
	etcd, peers, server := port(), port(), port()
	kubeconfig = path("kubeconfig")
	files := map[string]string{
		"key":    string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"tokens": "token,admin,1,system:masters\n",
		"kubeconfig": fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: one,
  contexts: [{name: one, context: {cluster: one, user: one}}], users: [{name: one, user: {token: token}}],
  clusters: [{name: one, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %q}}]}`, server, path("certs/apiserver.crt")),
	}
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(path(name), []byte(text), 0o600))
	}
	for _, args := range [][]string{
		{
			"etcd", "--data-dir=" + path("data"), "--unsafe-no-fsync", "--log-level=error",
			fmt.Sprintf("--listen-client-urls=http://127.0.0.1:%d", etcd), fmt.Sprintf("--advertise-client-urls=http://127.0.0.1:%d", etcd),
			fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", peers),
		},
		{
			"kube-apiserver", fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", etcd), fmt.Sprintf("--secure-port=%d", server),
			"--bind-address=127.0.0.1", "--endpoint-reconciler-type=none", "--cert-dir=" + path("certs"),
			"--service-account-key-file=" + path("key"), "--service-account-signing-key-file=" + path("key"), "--service-account-issuer=https://kubernetes.default.svc",
			"--token-auth-file=" + path("tokens"), "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
		},
	} {
		err = errors.Join(err, os.Symlink(program, path(args[0])))
		command := exec.CommandContext(ctx, path(args[0]), args[1:]...)
		if err := errors.Join(err, command.Start()); err != nil {
			return ended, err
		}
		ended = append(ended, func() { _ = command.Wait() })
	}
	err = os.Symlink(program, path("kubectl"))
	for end := time.Now().Add(2 * time.Minute); err == nil; time.Sleep(time.Second) {
		out, notReady := kubectl("get", "--raw", "/readyz")
		if notReady == nil {
			return ended, nil
		}
		if time.Now().After(end) {
			err = fmt.Errorf("the API server is not ready: %w: %s", notReady, out)
		}
	}
	return ended, err
}

// kubectl runs kubectl as the administrator.
func kubectl(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	folder := filepath.Dir(kubeconfig)
	command := exec.CommandContext(ctx, filepath.Join(folder, "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	command.Env = append(os.Environ(), "KUBECACHEDIR="+filepath.Join(folder, "cache"))
	out, err := command.CombinedOutput()
	return string(out), err
}

// port returns a free port.
func port() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
