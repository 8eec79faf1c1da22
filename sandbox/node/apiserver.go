package node

const (
	apiserverPort  = "6443"
	frontProxyUser = "front-proxy-client"
	admissionFile  = runFolder + "/admission.yaml"
)

// admission is what holds for pods in a namespace that says nothing about Pod Security itself. Nobody is exempt.
const admission = `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults:
        enforce: baseline
        enforce-version: latest
        audit: restricted
        audit-version: latest
        warn: restricted
        warn-version: latest
`

// apiserver serves the Kubernetes API.
func apiserver() component {
	return component{
		name: "kube-apiserver", path: kubernetesProgram,
		files: map[string]string{admissionFile: admission},
		args: []string{
			"--bind-address=" + nodeIP, "--advertise-address=" + nodeIP, "--secure-port=" + apiserverPort,
			"--tls-cert-file=" + certificateFile("apiserver"), "--tls-private-key-file=" + keyFile("apiserver"),
			"--etcd-servers=" + etcdURL, "--encryption-provider-config=" + encryptionFile,

			"--anonymous-auth=false", "--client-ca-file=" + authorityFile, "--authorization-mode=Node,RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-signing-key-file=" + serviceAccountKeyFile, "--service-account-key-file=" + serviceAccountKeyFile,
			// PodSecurity is on already.
			"--enable-admission-plugins=NodeRestriction", "--admission-control-config-file=" + admissionFile,

			"--service-cluster-ip-range=" + serviceCIDR,
			"--kubelet-certificate-authority=" + authorityFile, "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate=" + certificateFile("apiserver-kubelet"), "--kubelet-client-key=" + keyFile("apiserver-kubelet"),

			// For further API servers that run as pods, such as a metrics server.
			"--requestheader-client-ca-file=" + frontProxyAuthorityFile, "--requestheader-allowed-names=" + frontProxyUser,
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + certificateFile("apiserver-proxy"), "--proxy-client-key-file=" + keyFile("apiserver-proxy"),

			"--profiling=false",
		},
		ready: exists(apiserverURL + "/readyz"),
	}
}
