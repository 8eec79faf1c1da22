package main

import (
	"context"
	"crypto/tls"
	"fmt"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
)

// The ConfigMap in which the API server says by which certificates and headers it is known.
const (
	authenticationNamespace = "kube-system"
	authenticationName      = "extension-apiserver-authentication"
)

// frontProxy knows the API server when it forwards a request, and serves it. Everything that it reads may change while it runs.
type frontProxy struct {
	// authenticator names the user of a request that the API server forwards, and nobody for any other request, whatever its
	// headers say.
	authenticator authenticator.Request
	// tls serves with the certificate in the files, and asks for a client certificate.
	tls *tls.Config
	// known says whether the API server can be known at all.
	known func() bool
}

// newFrontProxy watches the ConfigMap and the files until ctx ends.
func newFrontProxy(ctx context.Context, o options, clients kubernetes.Interface) (*frontProxy, error) {
	authority, err := dynamiccertificates.NewDynamicCAFromConfigMapController(
		"front-proxy", authenticationNamespace, authenticationName, "requestheader-client-ca-file", clients)
	if err != nil {
		return nil, err
	}
	headers := headerrequest.NewRequestHeaderAuthRequestController(authenticationName, authenticationNamespace, clients,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers",
		"requestheader-extra-headers-prefix", "requestheader-allowed-names")
	serving, err := dynamiccertificates.NewDynamicServingContentFromFiles("serving", o.certFile, o.keyFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert-file and --tls-private-key-file: %w", err)
	}
	// The certificate is only asked for here. The authenticator verifies it, so that a request without one gets an answer that
	// says so. The protocols are named since the configuration of a connection replaces that of the server.
	config := &tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}}
	current := dynamiccertificates.NewDynamicServingCertificateController(config, authority, serving, nil, nil)
	authority.AddListener(current)
	serving.AddListener(current)
	if err := current.RunOnce(); err != nil {
		return nil, fmt.Errorf("--tls-cert-file and --tls-private-key-file: %w", err)
	}
	go authority.Run(ctx, 1)
	go headers.Run(ctx, 1)
	go serving.Run(ctx, 1)
	go current.Run(1, ctx.Done())

	return &frontProxy{
		// Without the headers' names nobody is authenticated, so it does not matter which of the two is read first.
		authenticator: headerrequest.NewDynamicVerifyOptionsSecure(authority.VerifyOptions,
			headerrequest.StringSliceProviderFunc(headers.AllowedClientNames),
			headerrequest.StringSliceProviderFunc(headers.UsernameHeaders),
			headerrequest.StringSliceProviderFunc(headers.UIDHeaders),
			headerrequest.StringSliceProviderFunc(headers.GroupHeaders),
			headerrequest.StringSliceProviderFunc(headers.ExtraHeaderPrefixes)),
		tls: &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: config.NextProtos, GetConfigForClient: current.GetConfigForClient},
		known: func() bool {
			_, ok := authority.VerifyOptions()
			return ok && len(headers.UsernameHeaders()) > 0
		},
	}, nil
}
