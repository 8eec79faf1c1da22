package main

import (
	"context"
	"testing"
	"time"
)

func TestQueriesOfManyUsersRunOneAfterTheOther(t *testing.T) {
	t.Parallel()
	running := newTurns(2, 2)
	first, err := running.wait(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := running.wait(t.Context(), "system:serviceaccount:alice:one"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := running.wait(short, "system:serviceaccount:alice:two"); err == nil {
		t.Error("a third query runs")
	}
	first()
	soon, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := running.wait(soon, "bob"); err != nil {
		t.Errorf("bob waits although a query has ended: %v", err)
	}
	if len(running.users) != 2 {
		t.Errorf("%d users are known, and must be the two whose queries run", len(running.users))
	}
}
