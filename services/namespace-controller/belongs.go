package main

import (
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"example.com/journal/services/namespace-controller/api"
)

// belongs reports whether a namespace is the one that was created for a claim. Labels can be forged, a uid cannot: once the
// claim's status has a uid, only that one counts. Between creating the namespace and writing its uid, the name (which has a
// hash of the claim's uid) and all labels must match.
func belongs(namespace *metav1.PartialObjectMetadata, claim *api.NamespaceClaim) bool {
	if namespace == nil || namespace.Name != claim.Status.Namespace {
		return false
	}
	if claim.UID == "" || namespace.Labels[api.LabelClaimUID] != string(claim.UID) {
		return false
	}
	if uid := claim.Status.NamespaceUID; uid != "" {
		return namespace.UID == types.UID(uid)
	}
	return namespace.Labels[api.LabelClaim] == claim.Name && !namespace.CreationTimestamp.Before(&claim.CreationTimestamp)
}

// namespaceName returns the name of the namespace of a claim. The hash keeps two claims of the same name, one after
// the other, apart; it stays when the name must be cut.
func namespaceName(claim *api.NamespaceClaim) string {
	sum := sha256.Sum256([]byte(claim.UID))
	hash := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:5])
	const longest = 63
	name := api.NamespacePrefix + claim.Namespace + "-" + claim.Name
	if most := longest - len("-") - len(hash); len(name) > most {
		name = strings.TrimRight(name[:most], "-")
	}
	return name + "-" + hash
}

func hasFinalizer(claim *api.NamespaceClaim) bool {
	return slices.Contains(claim.Finalizers, api.Finalizer)
}
