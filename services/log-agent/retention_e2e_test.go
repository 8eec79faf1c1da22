//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const (
	// linesADay are written for each day.
	linesADay = 500
	day       = 24 * time.Hour
)

// send sends the lines of one day as the agent does.
func (w *world) send(daysAgo int) {
	w.t.Helper()
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	for name, value := range map[string]string{
		"k8s.namespace.name": "alice", "k8s.pod.name": "api-0", "k8s.container.name": "main", "app": "api", "tenant": "alice",
	} {
		resource.Resource().Attributes().PutStr(name, value)
	}
	records := resource.ScopeLogs().AppendEmpty().LogRecords()
	at := time.Now().Add(time.Second - time.Duration(daysAgo)*day) // the oldest one that is kept is no older than the retention
	for n := range linesADay {
		record := records.AppendEmpty()
		record.SetTimestamp(pcommon.NewTimestampFromTime(at.Add(time.Duration(n) * time.Millisecond)))
		record.Body().SetStr(fmt.Sprintf("day=%d n=%d %s", daysAgo, n, strings.Repeat("lorem ipsum ", 15)))
	}
	text, err := (&plog.ProtoMarshaler{}).MarshalLogs(logs)
	require.NoError(w.t, err)
	address := fmt.Sprintf("http://127.0.0.1:%d/insert/opentelemetry/v1/logs", w.store)
	response, err := http.Post(address, "application/x-protobuf", bytes.NewReader(text))
	require.NoError(w.t, err)
	answer, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	require.Equal(w.t, http.StatusOK, response.StatusCode, string(answer))
}

// keeps waits until the store has all lines of the days until one, and no line of another day.
func (w *world) keeps(what string, until int) {
	w.t.Helper()
	var rows []map[string]string
	defer func() {
		if w.t.Failed() {
			w.t.Logf("the store has %v", rows)
		}
	}()
	w.eventually(what, func() bool {
		rows = w.query(`tenant:=alice | extract "day=<day> " | stats by (day) count() n`)
		for _, row := range rows {
			if ago, err := strconv.Atoi(row["day"]); err != nil || ago > until || row["n"] != strconv.Itoa(linesADay) {
				return false
			}
		}
		return len(rows) == until+1
	})
}

func TestTheStoreKeepsItsDaysAndItsSize(t *testing.T) {
	if left := time.Until(time.Now().Truncate(day).Add(day)); left < 2*time.Minute { // days are those of UTC
		time.Sleep(left)
	}
	flags := strings.Join(storeFlags(t), " ")
	kept := regexp.MustCompile(`-retentionPeriod=(\d+)d`).FindStringSubmatch(flags)
	require.NotNil(t, kept, flags)
	days, err := strconv.Atoi(kept[1])
	require.NoError(t, err)
	require.Less(t, days, 10)

	w := newStore(t)
	counts := func(what string, lines int) {
		w.eventually(what, func() bool { return int(figure(t, w.store, "vl_rows_dropped_total")) == lines })
	}
	w.startStore()
	for ago := range 11 {
		w.send(ago)
	}
	w.keeps("the days of the retention are there", days)
	counts("what is older is counted", (10-days)*linesADay)

	w.stopStore()
	w.startStore("-retentionPeriod", "2d")
	w.keeps("what is older than a shorter retention is gone", 2)
	w.send(3)
	counts("a line that comes too late is counted", linesADay)

	w.stopStore()
	w.startStore()
	for ago := 3; ago <= days; ago++ {
		w.send(ago)
	}
	w.keeps("a longer retention takes lines again", days)
	w.stopStore()
	w.startStore("-retention.maxDiskSpaceUsageBytes", "1000")
	w.keeps("today and yesterday stay, whatever they take", 1)
}

func TestAKilledStoreLosesItsLastSecondsAlone(t *testing.T) {
	w := newWorld(t)
	const perSecond, seconds, lost = 2_500, 15, 4
	f := w.file("alice")
	f.write(0, perSecond*seconds, perSecond)
	cpu, peak := used(t, w.storeChild)
	w.kill(w.storeChild)
	w.startStore()
	f.line("after all")
	var missing int
	w.eventually("lines come again, and only the last ones are missing", func() bool {
		missing = perSecond*seconds - w.number(`tenant:=alice "n=" | stats count_uniq(_msg) n`)
		return missing < lost*perSecond && w.number(`"after all" | stats count() n`) == 1
	})
	t.Logf("%d lines are lost of %d, %d a second; the store used %s of processor time, %s", missing, perSecond*seconds, perSecond, cpu, peak)
}
