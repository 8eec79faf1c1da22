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
	// ledgerName is the ConfigMap that says who was given what: under each user a JSON list, the newest first.
	ledgerName = "onboarding-ledger"
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

// record writes an entry in the ledger. Two calls at once lose nothing: the apiserver refuses the second, which reads
// and writes again.
func (o *onboarding) record(ctx context.Context, given entry) error {
	ledgers := o.clients.CoreV1().ConfigMaps(platform)
	again := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	err := retry.OnError(retry.DefaultBackoff, again, func() error {
		ledger, err := ledgers.Get(ctx, ledgerName, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			ledger = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: platform, Name: ledgerName}}
		} else if err != nil {
			return err
		}
		if err := add(ledger, o.user, given); err != nil {
			return err
		}
		if missing {
			_, err = ledgers.Create(ctx, ledger, metav1.CreateOptions{})
		} else {
			_, err = ledgers.Update(ctx, ledger, metav1.UpdateOptions{})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("the kubeconfig is written, but not the ledger %s/%s: %w", platform, ledgerName, err)
	}
	return nil
}

// add puts an entry on top of those of a user.
func add(ledger *corev1.ConfigMap, user string, given entry) error {
	key := ledgerKey(user)
	var entries []entry
	if text := ledger.Data[key]; text != "" {
		if err := json.Unmarshal([]byte(text), &entries); err != nil {
			return fmt.Errorf("key %q: %w; repair it by hand, what was given is not thrown away", key, err)
		}
	}
	entries = append([]entry{given}, entries...)
	text, err := json.Marshal(entries[:min(len(entries), kept)])
	if err != nil {
		return err
	}
	if ledger.Data == nil {
		ledger.Data = map[string]string{}
	}
	ledger.Data[key] = string(text)
	return nil
}

var notInKeys = regexp.MustCompile(`[^-.A-Za-z0-9]`)

// ledgerKey returns the key of a user. A ConfigMap's keys take few signs: alice@example.com is alice_40example.com.
func ledgerKey(user string) string {
	return notInKeys.ReplaceAllStringFunc(user, func(sign string) string { return fmt.Sprintf("_%x", sign) })
}
