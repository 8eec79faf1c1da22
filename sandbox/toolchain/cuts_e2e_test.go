//go:build e2e

package toolchain

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"example.com/journal/sandbox/cache"
)

func programPath(t *testing.T, name string) string {
	t.Helper()
	dir, err := cache.Open()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir.Bin(), name)
}

func TestProgramsSayWhatTheyAreBuiltWithout(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "Pulumi.yaml"), []byte("name: test\nruntime: go\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ command, want string }{
		{"traefik --providers.docker --entrypoints.web.address=127.0.0.1:0 --log.nocolor", "built without the provider docker"},
		{"traefik --providers.ecs --entrypoints.web.address=127.0.0.1:0 --log.nocolor", "built without the provider ecs"},
		{"traefik --experimental.plugins.x.modulename=example.com/x --experimental.plugins.x.version=v1.0.0 --experimental.abortonpluginfailure --entrypoints.web.address=127.0.0.1:0", "built without plugins"},
		{"pulumi login s3://bucket", "built without backends of the scheme s3"},
		{"pulumi login gs://bucket", "built without backends of the scheme gs"},
		{"pulumi login azblob://bucket", "built without backends of the scheme azblob"},
		{"pulumi env ls", "built without environments of Pulumi's service"},
		{"pulumi stack init dev --secrets-provider awskms://alias/key", "built without the secrets providers of clouds"},
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			words := strings.Fields(c.command)
			command := exec.CommandContext(ctx, programPath(t, words[0]), words[1:]...)
			command.Dir = home
			command.Env = append(os.Environ(), "PULUMI_HOME="+filepath.Join(home, strings.Join(words[1:2], "")), "PULUMI_SKIP_UPDATE_CHECK=1", "PULUMI_CONFIG_PASSPHRASE=x", "GOOGLE_OAUTH_ACCESS_TOKEN=x")
			if words[1] != "login" {
				command.Env = append(command.Env, "PULUMI_BACKEND_URL=file://"+home)
			}
			output, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			command.Stderr = command.Stdout
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			var said []string
			found := false
			for lines := bufio.NewScanner(output); !found && lines.Scan(); { // Traefik goes on without what it does not have
				said = append(said, lines.Text())
				found = strings.Contains(lines.Text(), c.want)
			}
			cancel()
			_ = command.Wait()
			if !found {
				t.Errorf("it does not say %q, but\n%s", c.want, strings.Join(said, "\n"))
			}
		})
	}
}

func TestCutsDownloadTheirModulesAndNotWhatTheseImport(t *testing.T) {
	settings, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	modules, proxy, _ := strings.Cut(strings.TrimSpace(string(settings)), "\n")
	dir, err := cache.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "modules")
	t.Setenv("GOMODCACHE", empty)
	// What was downloaded before, or else the usual way.
	t.Setenv("GOPROXY", "file://"+modules+"/cache/download|"+proxy)
	t.Cleanup(func() { // the module cache cannot be written
		clean := exec.Command("go", "clean", "-modcache")
		clean.Env = append(os.Environ(), "GOMODCACHE="+empty)
		if err := clean.Run(); err != nil {
			t.Error(err)
		}
	})
	if err := os.MkdirAll(dir.Path("modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	b := &builder{repo: "../..", dir: dir}
	report := newReporter(io.Discard, filepath.Join(t.TempDir(), "compiled"))
	defer report.stop()
	if _, err := b.modfile(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	packages, err := packagesBelow(filepath.Join(b.moduleDir(), "_cuts"))
	if err != nil {
		t.Fatal(err)
	}
	var downloaded []string
	read := 0 // of modules, what each requires
	err = filepath.WalkDir(filepath.Join(empty, "cache", "download"), func(path string, _ fs.DirEntry, err error) error {
		switch filepath.Ext(path) {
		case ".zip":
			downloaded = append(downloaded, path)
		case ".mod":
			read++
		}
		return err
	})
	if err != nil || len(downloaded) == 0 || len(downloaded) > len(packages) || read > 2*len(packages) {
		t.Errorf("for %d packages, %d modules were downloaded and %d read (%v): %s", len(packages), len(downloaded), read, err, downloaded)
	}
}

// The rest of the cuts is not reached by an option, so it is called.
func TestLibrariesSayWhatTheyAreBuiltWithout(t *testing.T) {
	const source = `package main

import (
	"fmt"

	"github.com/charmbracelet/glamour"
	"github.com/go-acme/lego/v5/providers/dns"
	"github.com/pulumi/pulumi/pkg/v3/operations"
)

func main() {
	_, err := dns.NewDNSChallengeProviderByName("route53")
	fmt.Println(err)
	_, err = operations.AWSOperationsProvider(nil, nil)
	fmt.Println(err)
	renderer, _ := glamour.NewTermRenderer()
	fmt.Println(renderer.Render("as it is"))
}
`
	dir, err := cache.Open()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &builder{repo: "../..", dir: dir}
	command := b.goCommand(t.Context(), "run", "-modfile="+dir.Path("modules", "go.mod"), file)
	output, err := command.CombinedOutput()
	want := `this Traefik is built without the DNS challenge provider "route53"
this Pulumi is built without the logs of clouds
as it is <nil>
`
	if string(output) != want || err != nil {
		t.Errorf("got\n%s(%v)\nwant\n%s", output, err, want)
	}
}

const passwordType = "random:index/randomPassword:RandomPassword"

// startRandom starts the random plugin as the engine does, and connects to it.
func startRandom(t *testing.T) pulumirpc.ResourceProviderClient {
	t.Helper()
	command := exec.CommandContext(t.Context(), programPath(t, "pulumi-resource-random"))
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	port, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient("127.0.0.1:"+strings.TrimSpace(port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	client := pulumirpc.NewResourceProviderClient(connection)
	if _, err := client.Configure(t.Context(), &pulumirpc.ConfigureRequest{AcceptSecrets: true}); err != nil {
		t.Fatal(err)
	}
	return client
}

func properties(t *testing.T, values map[string]any) *structpb.Struct {
	t.Helper()
	made, err := structpb.NewStruct(values)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestTheRandomPluginMakesPasswordsWithTheStateOfTheReleasedOne(t *testing.T) {
	client := startRandom(t)
	passwords := map[string]bool{}
	for range 2 {
		created, err := client.Create(t.Context(), &pulumirpc.CreateRequest{
			Urn: "urn:pulumi:dev::journal::" + passwordType + "::password", Properties: properties(t, map[string]any{"length": 64, "special": false}),
		})
		if err != nil {
			t.Fatal(err)
		}
		state := created.GetProperties().AsMap()
		// The keys of the released plugin's state that are set when only length and special are given.
		for _, key := range []string{"bcryptHash", "length", "lower", "minLower", "minNumeric", "minSpecial", "minUpper", "number", "numeric", "result", "special", "upper"} {
			if _, kept := state[key]; !kept {
				t.Errorf("the state has no %s", key)
			}
		}
		password, _ := state["result"].(string) // which the SDK asks the engine to encrypt
		if len(password) != 64 || strings.Trim(password, letters) != "" {
			t.Errorf("the password is not of 64 letters and digits, but of %d", len(password))
		}
		passwords[password] = true
	}
	if len(passwords) != 2 {
		t.Error("it made the same password twice")
	}
}

// letters are those of a password without special characters.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func TestTheRandomPluginRefusesWhatItDoesNotHave(t *testing.T) {
	client := startRandom(t)
	for input, want := range map[string]map[string]any{
		"minLower":        {"length": 8, "special": false, "minLower": 2},
		"overrideSpecial": {"length": 8, "special": false, "overrideSpecial": "!"},
		"length":          {"length": 0, "special": false},
		"special":         {"length": 8, "special": true},
	} {
		t.Run(input, func(t *testing.T) {
			checked, err := client.Check(t.Context(), &pulumirpc.CheckRequest{Urn: "urn:pulumi:dev::journal::" + passwordType + "::password", News: properties(t, want)})
			if err != nil {
				t.Fatal(err)
			}
			if failures := checked.GetFailures(); len(failures) != 1 || failures[0].GetProperty() != input {
				t.Errorf("refused are %v", failures)
			}
		})
	}
	_, err := client.Create(t.Context(), &pulumirpc.CreateRequest{Urn: "urn:pulumi:dev::journal::random:index/randomPet:RandomPet::pet"})
	if err == nil {
		t.Error("it made a RandomPet")
	}
}
