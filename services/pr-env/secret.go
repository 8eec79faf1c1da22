package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// passwordSecret is the Secret with the passwords that the stack pr names: number 1 of redis.passwordSecret.
const passwordSecret = "redis-password-1"

// passwordUsers are its keys: the users of Redis.
var passwordUsers = []string{"api", "replica", "probe"}

// rightsWithin is how long the API server may take to notice rights that were just given.
const rightsWithin = 15 * time.Second

// secret makes the passwords, unless they are there: they stay as long as the namespace, as the data does.
func (e *environment) secret(ctx context.Context, namespace string) error {
	passwords := map[string]string{}
	for _, user := range passwordUsers {
		bits := make([]byte, 24)
		_, _ = rand.Read(bits) // never fails
		passwords[user] = base64.RawURLEncoding.EncodeToString(bits)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: passwordSecret},
		StringData: passwords, Immutable: new(true),
	}
	// It is the first object in the namespace, and the rights there are as new.
	var err error
	waited := wait.PollUntilContextTimeout(ctx, e.poll, rightsWithin, true, func(ctx context.Context) (bool, error) {
		err = e.client.Create(ctx, secret.DeepCopy(), client.FieldOwner(program))
		return !apierrors.IsForbidden(err), nil
	})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil
	case err != nil:
		return fmt.Errorf("make the Secret %s/%s: %w; you must be an owner or a developer of tenant %s", namespace, passwordSecret, err, e.tenant)
	}
	return waited
}
