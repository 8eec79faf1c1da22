// Command supply signs images in a registry with a bill of what is in them, and verifies both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/journal/supply/signing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	root := &cobra.Command{
		Use: "supply", Short: "Sign images with a bill of what is in them, and verify both", SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(sign(stdout), verify(stdout), bill(stdout), digest(stdout))
	root.SetArgs(args)
	root.SetOut(stdout)
	return root.ExecuteContext(ctx)
}

func sign(stdout io.Writer) *cobra.Command {
	var key, chain string
	command := &cobra.Command{
		Use: "sign --key KEY --chain CERTIFICATES [KEY=]IMAGE@DIGEST...", Short: "Push a bill and signatures for images that are in a registry",
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			signer, err := signing.NewSigner(key, chain)
			if err != nil {
				return err
			}
			for n, each := range args {
				_, reference := split(n, each)
				if err := signer.Sign(command.Context(), reference); err != nil {
					return err
				}
				fmt.Fprintln(stdout, "signed", reference)
			}
			return nil
		},
	}
	command.Flags().StringVar(&key, "key", "", "PEM file with the private key")
	command.Flags().StringVar(&chain, "chain", "", "PEM file with the key's certificate, and those of its issuers up to the root")
	return required(command, "key", "chain")
}

func verify(stdout io.Writer) *cobra.Command {
	var folder string
	command := &cobra.Command{
		Use: "verify --trust FOLDER [KEY=]IMAGE...", Short: "Fail if the digest, the signature or the bill of an image is missing or wrong",
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			trust, err := signing.LoadTrust(folder)
			if err != nil {
				return err
			}
			references := map[string]string{}
			for n, each := range args {
				key, reference := split(n, each)
				if other, there := references[key]; there && other != reference {
					return fmt.Errorf("%s: is there twice, as %q and as %q", key, other, reference)
				}
				references[key] = reference
			}
			if err := trust.VerifyAll(command.Context(), references); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "verified %d images\n", len(references))
			return nil
		},
	}
	command.Flags().StringVar(&folder, "trust", "", "folder with trustpolicy.json and truststore/x509/ca/<name>/*.pem")
	return required(command, "trust")
}

func bill(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "bill IMAGE@DIGEST", Short: "Print what is in an image, as CycloneDX JSON", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			text, err := signing.Bill(command.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = stdout.Write(text)
			return err
		},
	}
}

func digest(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "digest KEY=IMAGE...", Short: "Print images with the digests that their registries have for them now",
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			for n, each := range args {
				key, reference := split(n, each)
				reference, err := signing.Digest(command.Context(), reference)
				if err != nil {
					return fmt.Errorf("%s %w", key, err)
				}
				fmt.Fprintf(stdout, "%s: %s\n", key, reference)
			}
			return nil
		},
	}
}

// split takes the n-th argument apart into a key of the configuration, such as api.image, and a reference. No reference has a "=".
func split(n int, argument string) (key, reference string) {
	if key, reference, found := strings.Cut(argument, "="); found {
		return key, reference
	}
	return fmt.Sprintf("image %d", n+1), argument
}

// required marks flags without which the command does nothing.
func required(command *cobra.Command, flags ...string) *cobra.Command {
	var all []error
	for _, flag := range flags {
		all = append(all, command.MarkFlagRequired(flag))
	}
	if err := errors.Join(all...); err != nil {
		panic(err) // a flag that this file does not declare
	}
	return command
}
