// Command pulumi-resource-random serves the one resource of Pulumi's random provider that the journal uses, RandomPassword, with
// the inputs that it uses, and refuses every other. Its state has the keys of the released plugin's, so that a
// stack can go from one to the other. The released plugin is a bridge to a Terraform provider: it alone would compile for five
// minutes of processor time.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"os"

	provider "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/bcrypt"
)

// version is the release of pulumi-random's SDK that the program uses, so that the engine takes this plugin for it.
const version = "4.19.2"

// alphabet has the characters of a password without special ones, as the released plugin has them.
const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func main() {
	p, err := infer.NewProviderBuilder().WithResources(infer.Resource(RandomPassword{})).Build()
	if err == nil {
		err = p.Run(context.Background(), "random", version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-random:", err)
		os.Exit(1)
	}
}

// RandomPassword makes a password once, and again when an input changes.
type RandomPassword struct{}

// Annotate gives the resource the token of the released plugin's.
func (p *RandomPassword) Annotate(a infer.Annotator) {
	a.SetToken("index/randomPassword", "RandomPassword")
}

// Args are the inputs.
type Args struct {
	Length  int  `pulumi:"length" provider:"replaceOnChanges"`
	Special bool `pulumi:"special" provider:"replaceOnChanges"`
}

// State is the password with all that the released plugin keeps.
type State struct {
	Args
	Result     string `pulumi:"result" provider:"secret"`
	BcryptHash string `pulumi:"bcryptHash" provider:"secret"`
	Lower      bool   `pulumi:"lower"`
	Upper      bool   `pulumi:"upper"`
	Number     bool   `pulumi:"number"`
	Numeric    bool   `pulumi:"numeric"`
	MinLower   int    `pulumi:"minLower"`
	MinUpper   int    `pulumi:"minUpper"`
	MinNumeric int    `pulumi:"minNumeric"`
	MinSpecial int    `pulumi:"minSpecial"`
}

// Check refuses a length that makes no password, and special characters. Inputs that Args does not have are refused already.
func (RandomPassword) Check(ctx context.Context, request infer.CheckRequest) (infer.CheckResponse[Args], error) {
	args, failures, err := infer.DefaultCheck[Args](ctx, request.NewInputs)
	if err == nil && len(failures) == 0 && (args.Length < 1 || args.Length > 4096) {
		failures = append(failures, provider.CheckFailure{Property: "length", Reason: "must be from 1 to 4096"})
	}
	if args.Special {
		failures = append(failures, provider.CheckFailure{Property: "special", Reason: "must be false: this plugin makes no special characters"})
	}
	return infer.CheckResponse[Args]{Inputs: args, Failures: failures}, err
}

// Create makes the password.
func (RandomPassword) Create(_ context.Context, request infer.CreateRequest[Args]) (infer.CreateResponse[State], error) {
	state := State{Args: request.Inputs, Lower: true, Upper: true, Number: true, Numeric: true}
	if request.DryRun {
		return infer.CreateResponse[State]{ID: "none", Output: state}, nil
	}
	password := make([]byte, state.Length)
	for i := range password {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return infer.CreateResponse[State]{}, err
		}
		password[i] = alphabet[n.Int64()]
	}
	state.Result = string(password)
	// bcrypt takes no more than 72 bytes, and the released plugin cuts the password there, too.
	hash, err := bcrypt.GenerateFromPassword(password[:min(len(password), 72)], bcrypt.DefaultCost)
	state.BcryptHash = string(hash)
	return infer.CreateResponse[State]{ID: "none", Output: state}, err
}
