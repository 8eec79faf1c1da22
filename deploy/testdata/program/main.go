// Command program is the Pulumi program of the tests: a few objects of each kind that a plan tells apart.
package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// config is the stack's key app.
type config struct {
	Title string // of the protected namespace, and of an object whose changes replace it
	Extra bool   // one more object
	Image string // of a Deployment
	Other string // of a second container in it, by a key that does not say that it is one
	Token bool   // a password that is not made yet
}

func main() { pulumi.Run(deploy) }

func deploy(ctx *pulumi.Context) error {
	waitFor(os.Getenv("PROGRAM_WAITS_FOR"))
	var c config
	text, _ := ctx.GetConfig("program:app")
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	if err := itself(ctx); err != nil {
		return err
	}
	password, err := random.NewRandomPassword(ctx, "password", &random.RandomPasswordArgs{Length: pulumi.Int(20), Special: pulumi.Bool(false)})
	if err != nil {
		return err
	}
	team, err := corev1.NewNamespace(ctx, "team", &corev1.NamespaceArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("team"), Labels: pulumi.StringMap{"title": pulumi.String(c.Title)}},
	}, pulumi.Protect(true))
	if err != nil {
		return err
	}
	named := func(name string, annotations pulumi.StringMap) *metav1.ObjectMetaArgs {
		return &metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: team.Metadata.Name(), Annotations: annotations}
	}
	// There is no controller that would delete what depends on an object.
	alone := pulumi.StringMap{"pulumi.com/deletionPropagationPolicy": pulumi.String("background")}
	data := map[string]string{"settings": c.Title}
	if c.Extra {
		data["extra"] = "more"
	}
	for name, value := range data {
		args := &corev1.ConfigMapArgs{Metadata: named(name, alone), Data: pulumi.StringMap{"title": pulumi.String(value)}}
		if _, err := corev1.NewConfigMap(ctx, name, args); err != nil {
			return err
		}
	}
	secrets := map[string]*random.RandomPassword{"secret": password}
	if c.Token {
		if secrets["token"], err = random.NewRandomPassword(ctx, "token", &random.RandomPasswordArgs{Length: pulumi.Int(30), Special: pulumi.Bool(false)}); err != nil {
			return err
		}
	}
	for name, value := range secrets {
		args := &corev1.SecretArgs{Metadata: named(name, alone), StringData: pulumi.StringMap{"password": value.Result}}
		if _, err := corev1.NewSecret(ctx, name, args); err != nil {
			return err
		}
	}
	ctx.Export("title", pulumi.String(c.Title))
	if c.Image == "" {
		return nil
	}
	labels := pulumi.StringMap{"app": pulumi.String("api")}
	containers := corev1.ContainerArray{&corev1.ContainerArgs{Name: pulumi.String("api"), Image: pulumi.String(c.Image)}}
	if c.Other != "" {
		containers = append(containers, &corev1.ContainerArgs{Name: pulumi.String("other"), Image: pulumi.String(c.Other)})
	}
	_, err = appsv1.NewDeployment(ctx, "api", &appsv1.DeploymentArgs{
		// There is no controller that would make its pods.
		Metadata: named("api", pulumi.StringMap{"pulumi.com/timeoutSeconds": pulumi.String("1")}),
		Spec: &appsv1.DeploymentSpecArgs{
			Selector: &metav1.LabelSelectorArgs{MatchLabels: labels},
			Template: &corev1.PodTemplateSpecArgs{Metadata: &metav1.ObjectMetaArgs{Labels: labels}, Spec: &corev1.PodSpecArgs{Containers: containers}},
		},
	})
	return err
}

// itself reads the outputs of the last update, as the journal's program does.
func itself(ctx *pulumi.Context) error {
	_, err := pulumi.NewStackReference(ctx, "organization/"+ctx.Project()+"/"+ctx.Stack(), nil)
	return err
}

// waitFor holds the program, and so the lock of the stack, until a file is gone.
func waitFor(path string) {
	for range 600 {
		if _, err := os.Stat(path); path == "" || errors.Is(err, fs.ErrNotExist) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
