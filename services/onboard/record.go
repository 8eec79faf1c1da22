package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

const (
	// recordName is the ConfigMap that records who received which certificate: under each user a JSON list, the newest first.
	recordName = "issued-certificates"
	// kept is how many entries of each user are kept.
	kept = 20
)

// entry is one certificate that was given.
type entry struct {
	Issued      time.Time `json:"issued"`
	Expires     time.Time `json:"expires"`
	ApprovedBy  string    `json:"approvedBy"`
	Fingerprint string    `json:"fingerprint"`
}

// record adds an entry to the record of certificates. Concurrent calls lose nothing: the API server refuses the second one,
// which reads and writes again.
func (o *onboarding) record(ctx context.Context, given entry) error {
	records := o.clients.CoreV1().ConfigMaps(platform)
	again := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	err := retry.OnError(retry.DefaultBackoff, again, func() error {
		record, err := records.Get(ctx, recordName, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			record = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: recordName}}
		} else if err != nil {
			return err
		}
		if err := add(record, o.user, given); err != nil {
			return err
		}
		if missing {
			_, err = records.Create(ctx, record, metav1.CreateOptions{})
		} else {
			_, err = records.Update(ctx, record, metav1.UpdateOptions{})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the kubeconfig is written, but not the record %s/%s: %w", platform, recordName, err)
	}
	return nil
}

// add puts an entry before those of a user.
func add(record *corev1.ConfigMap, user string, given entry) error {
	key := recordKey(user)
	var entries []entry
	if text := record.Data[key]; text != "" {
		if err := json.Unmarshal([]byte(text), &entries); err != nil {
			return fmt.Errorf("key %q: %w; repair it by hand, what was given is not thrown away", key, err)
		}
	}
	entries = append([]entry{given}, entries...)
	text, err := json.Marshal(entries[:min(len(entries), kept)])
	if err != nil {
		return err
	}
	if record.Data == nil {
		record.Data = map[string]string{}
	}
	record.Data[key] = string(text)
	return nil
}

var notInKeys = regexp.MustCompile(`[^-.A-Za-z0-9]`)

// recordKey returns the key of a user. A ConfigMap's keys allow few characters: alice@example.com is alice_40example.com.
func recordKey(user string) string {
	return notInKeys.ReplaceAllStringFunc(user, func(sign string) string { return fmt.Sprintf("_%x", sign) })
}
