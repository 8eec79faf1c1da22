package journal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/kube"
)

// redisUsers are the users of Redis. Each has its own password. Its key in the Secret and its file have the user's name. The
// file users says what each user may do.
var redisUsers = []string{apiUser, "replica", "probe"}

// passwordSecrets returns the names of the Secrets of the kept passwords, the current one first: for each number one Secret that
// never changes. It declares them, unless another program does.
func (r *Redis) passwordSecrets(ctx *pulumi.Context, name string, a RedisArgs) (names []pulumi.StringOutput, err error) {
	if a.PasswordSecret == "" {
		return r.generatePasswords(ctx, name, a)
	}
	for _, number := range a.Passwords {
		names = append(names, pulumi.Sprintf("%s-%d", a.PasswordSecret, number))
	}
	return names, nil
}

// generatePasswords declares the Secrets of the passwords, and returns their names.
//
// They all derive from one random secret, by HKDF (RFC 5869) with the number and the user. A rotation therefore adds nothing
// that only the state has, and no password reveals another. The secret is not a child of Redis, so that an update can target
// it alone and create it first: a targeted parent brings its children with it.
func (r *Redis) generatePasswords(ctx *pulumi.Context, name string, a RedisArgs) (names []pulumi.StringOutput, err error) {
	source, err := random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{Length: pulumi.Int(64), Special: pulumi.Bool(false)})
	if err != nil {
		return nil, err
	}
	for _, number := range a.Passwords {
		passwords := pulumix.Cast[pulumi.StringMapOutput](pulumix.ApplyErr(source.Result, func(source string) (map[string]string, error) {
			return derivePasswords(source, number)
		}))
		meta := r.part.Meta(a.Namespace)
		// 192 random bits cannot be guessed from a few digits of their hash.
		meta.Name = pulumix.Cast[pulumi.StringOutput](pulumix.Apply(pulumi.Unsecret(passwords).(pulumi.StringMapOutput), func(passwords map[string]string) string {
			return kube.ContentName(r.part.App+"-password", passwords)
		}))
		secret, err := corev1.NewSecret(ctx, fmt.Sprintf("%s-%d", name, number), &corev1.SecretArgs{
			Metadata:   meta,
			StringData: passwords,
			Immutable:  pulumi.Bool(true),
		}, pulumi.Parent(r))
		if err != nil {
			return nil, err
		}
		names = append(names, secret.Metadata.Name().Elem())
	}
	return names, nil
}

// derivePasswords returns the passwords of a number, by user: 32 characters without meaning to a shell or to Redis's
// configuration.
func derivePasswords(source string, number int) (map[string]string, error) {
	passwords := map[string]string{}
	for _, user := range redisUsers {
		bits, err := hkdf.Key(sha256.New, []byte(source), nil, fmt.Sprintf("journal redis password %d of %s", number, user), 24)
		if err != nil {
			return nil, err
		}
		passwords[user] = base64.RawURLEncoding.EncodeToString(bits)
	}
	return passwords, nil
}
