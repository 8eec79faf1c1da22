package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// statusClientGone is in logs and metrics only: nobody is left to read it.
const statusClientGone = 499

// refuse returns the error of a request that breaks a rule.
func refuse(format string, args ...any) error {
	return apierrors.NewBadRequest(fmt.Sprintf(format, args...))
}

// errNothingHere is the answer to a path that is none, and names none.
func errNothingHere() error {
	status := apierrors.NewGenericServerResponse(http.StatusNotFound, "", schema.GroupResource{}, "", "", 0, false)
	status.ErrStatus.Message = "there is nothing at this path"
	return status
}

// statusOf is the only place that maps errors to statuses. An unknown error is internal and shows nothing.
func statusOf(err error) metav1.Status {
	var known apierrors.APIStatus
	switch {
	case errors.Is(err, context.Canceled):
		return metav1.Status{Status: metav1.StatusFailure, Code: statusClientGone, Message: "the client is gone"}
	case errors.As(err, &known):
		return known.Status()
	}
	return apierrors.NewInternalError(errors.New("internal error")).Status()
}

// fault is a Status. The metric store's page shows error and errorType, which Prometheus would answer with.
type fault struct {
	metav1.Status
	Error     string              `json:"error"`
	ErrorType metav1.StatusReason `json:"errorType"`
}

// writeError writes the Status of an error.
func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(fault{status, status.Message, status.Reason})
}
