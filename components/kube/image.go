package kube

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumix"

	"example.com/journal/components/rules"
)

// CheckImage refuses a plain image whose content can change under the same name. CheckedImage checks one that is an output.
func CheckImage(image pulumi.StringInput, origin rules.ImageOrigin) error {
	if plain, isPlain := image.(pulumi.String); isPlain {
		return rules.CheckImage(string(plain), origin)
	}
	return nil
}

// CheckedImage returns the image. If it is an output, such as an image that the same program builds, CheckedImage checks it
// once its value is known. The error names the component.
func CheckedImage(component string, image pulumi.StringInput, origin rules.ImageOrigin) pulumi.StringInput {
	if _, isPlain := image.(pulumi.String); isPlain {
		return image
	}
	return pulumix.Cast[pulumi.StringOutput](pulumix.ApplyErr(image.ToStringOutput(), func(image string) (string, error) {
		if err := rules.CheckImage(image, origin); err != nil {
			return "", fmt.Errorf("%s: image %q: %w", component, image, err)
		}
		return image, nil
	}))
}
