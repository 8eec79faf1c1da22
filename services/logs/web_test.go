package main

import (
	"testing"
	"time"
)

func TestThePageShowsAtLeastWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for before, want := range map[time.Duration]string{
		0: "last_5_minutes", 5*time.Minute + 9*time.Second: "last_5_minutes", 5*time.Minute + 11*time.Second: "last_15_minutes",
		time.Hour: "last_1_hour", 90 * time.Minute: "last_3_hours", 7 * 24 * time.Hour: "last_7_days", 1000 * 24 * time.Hour: "last_1_year",
	} {
		if got := windowID(before); got != want {
			t.Errorf("of the last %s the page shows %s, not %s", before, got, want)
		}
	}
}
