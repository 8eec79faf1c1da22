package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauthenticationv1 "k8s.io/client-go/pkg/apis/clientauthentication/v1"
)

const (
	// tokenBytes is the size of an answer at most. GitHub's tokens have two kilobytes.
	tokenBytes = 64 << 10
	// margin is how long before its end a token is not used any more, for requests that take their time.
	margin = 30 * time.Second
)

// issuer is GitHub's, for the job in which this runs.
type issuer struct {
	// url and secret are of the job: GitHub gives them to a job with the permission `id-token: write`.
	url, secret string
	// audience is the name of the cluster, for which alone the token is good.
	audience string
	client   *http.Client
	now      func() time.Time
}

// claims are as much of a token as people compare with the AuthenticationConfiguration.
type claims struct {
	Issuer      string `json:"iss"`
	Subject     string `json:"sub"`
	Repository  string `json:"repository"`
	Environment string `json:"environment"`
	Ref         string `json:"ref"`
	Event       string `json:"event_name"`
	Expires     int64  `json:"exp"`
}

func (c claims) String() string {
	return fmt.Sprintf("iss %q, sub %q, repository %q, environment %q, ref %q, event_name %q", c.Issuer, c.Subject, c.Repository, c.Environment, c.Ref, c.Event)
}

// token asks for a token of the job.
func (i issuer) token(ctx context.Context) (token string, of claims, err error) {
	switch {
	case i.url == "" || i.secret == "":
		return "", of, errors.New("ACTIONS_ID_TOKEN_REQUEST_URL: is missing: GitHub issues no token for this job; " +
			"give the job `permissions: {id-token: write}`; a pull request of a fork never gets one")
	case i.audience == "":
		return "", of, errors.New("KUBE_AUDIENCE: is missing; set the variable in the environment of the workflow to the audience of the cluster's AuthenticationConfiguration")
	}
	at, err := url.Parse(i.url)
	if err != nil || at.Scheme != "https" {
		return "", of, fmt.Errorf("ACTIONS_ID_TOKEN_REQUEST_URL: must be an https URL; run this in a job of a workflow")
	}
	query := at.Query()
	query.Set("audience", i.audience)
	at.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", of, err
	}
	request.Header.Set("Authorization", "Bearer "+i.secret)
	request.Header.Set("Accept", "application/json")
	answer, err := i.client.Do(request)
	if err != nil {
		return "", of, fmt.Errorf("ask %s for a token: %w", at.Host, errors.Unwrap(err)) // the URL is the job's own
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, tokenBytes))
	if err != nil {
		return "", of, fmt.Errorf("ask %s for a token: %w", at.Host, err)
	}
	if answer.StatusCode != http.StatusOK {
		return "", of, fmt.Errorf("ask %s for a token: %s; give the job `permissions: {id-token: write}`, and run it again", at.Host, answer.Status)
	}
	var said struct {
		Value string `json:"value"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return "", of, fmt.Errorf("ask %s for a token: the answer is no JSON", at.Host)
	}
	if of, err = read(said.Value); err != nil {
		return "", of, fmt.Errorf("ask %s for a token: %w", at.Host, err)
	}
	if ends := time.Unix(of.Expires, 0); !ends.After(i.now().Add(margin)) {
		return "", of, fmt.Errorf("the token of %s ended at %s, and here it is %s; set the clock of the runner, or run the job again",
			at.Host, ends.UTC().Format(time.RFC3339), i.now().UTC().Format(time.RFC3339))
	}
	return said.Value, of, nil
}

// read returns the claims of a token, whose signature the API server checks.
func read(token string) (of claims, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return of, errors.New("the answer is no JSON Web Token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(text, &of) != nil {
		return of, errors.New("the answer is no JSON Web Token")
	}
	return of, nil
}

// printCredential is the exec plugin: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
func printCredential(ctx context.Context, i issuer, stdout io.Writer) error {
	token, of, err := i.token(ctx)
	if err != nil {
		return err
	}
	ends := metav1.NewTime(time.Unix(of.Expires, 0).Add(-margin))
	credential := clientauthenticationv1.ExecCredential{Status: &clientauthenticationv1.ExecCredentialStatus{Token: token, ExpirationTimestamp: &ends}}
	credential.SetGroupVersionKind(clientauthenticationv1.SchemeGroupVersion.WithKind("ExecCredential"))
	return json.NewEncoder(stdout).Encode(credential)
}
