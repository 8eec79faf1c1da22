package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestRequestsWaitForARestartOfThePrimaryAndNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, map[string]string{"JOURNAL_REDIS_PATIENCE": "25s"})

	stop := j.keepPosting("keep me")
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		time.Sleep(200 * time.Millisecond)
		server.stop(signal)
		time.Sleep(300 * time.Millisecond)
		server.start()
	}
	time.Sleep(200 * time.Millisecond)
	acknowledged := stop()

	var listed []string
	for _, entry := range j.list("100") {
		listed = append(listed, entry.ID)
	}
	slices.Sort(acknowledged)
	slices.Sort(listed)
	if len(acknowledged) == 0 || !slices.Equal(listed, acknowledged) {
		t.Errorf("%d entries, want the %d that were acknowledged", len(listed), len(acknowledged))
	}
}

func TestAWriteWhoseAnswerIsLostIsAppliedOnce(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	lossy := newLossyProxy(t, server.address)
	j := newJournal(t, server, map[string]string{
		"JOURNAL_REDIS_WRITE_ADDRESS": lossy.address,
		"JOURNAL_REDIS_READ_ADDRESS":  server.address,
	})
	warm := "/api/entries/" + j.create("loads the scripts").ID
	j.do("PUT", warm, textBody("x")).is(http.StatusOK)
	j.do("DELETE", warm, "").is(http.StatusNoContent)

	lossy.loseNextScript()
	created := j.post("once").is(http.StatusCreated)
	if all := j.list("20"); len(all) != 1 || all[0] != created.entry() {
		t.Fatalf("created %+v, want only %+v", all, created.entry())
	}
	lossy.loseNextScript()
	keyed := j.post("twice", "Idempotency-Key: k").is(http.StatusCreated)
	if keyed.header.Get("Idempotency-Replayed") != "" || len(j.list("20")) != 2 {
		t.Errorf("a try of the API's own counts as a replay: %v", keyed.header)
	}
	path := "/api/entries/" + created.entry().ID
	lossy.loseNextScript()
	changed := j.do("PUT", path, textBody("changed"), `If-Match: "1"`).is(http.StatusOK).entry()
	if read := j.do("GET", path, "").entry(); changed != read || read.Version != 2 {
		t.Errorf("changed %+v, read %+v, want the same with version 2", changed, read)
	}
	lossy.loseNextScript()
	j.do("DELETE", path, "", `If-Match: "2"`).is(http.StatusNoContent)
	if lost := lossy.lost.Load(); lost != 4 {
		t.Errorf("%d answers were lost, want 4", lost)
	}
}

func TestARedisThatIsAwayIs503WithRetryAfterAndComesBack(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, soon)
	path := "/api/entries/" + j.create("here").ID
	j.do("GET", "/readyz", "").is(http.StatusOK)

	server.stop(syscall.SIGTERM)
	j.post("x").isUnavailable()
	j.do("PUT", path, textBody("x")).isUnavailable()
	j.do("DELETE", path, "").isUnavailable()
	j.do("GET", path, "").isUnavailable()
	j.do("GET", "/api/entries", "").isUnavailable()
	// The pod stays in the Service: its answer names the problem, and no pod would name none.
	j.do("GET", "/readyz", "").is(http.StatusOK)
	j.do("GET", "/healthz", "").is(http.StatusOK)

	server.start()
	eventually(t, "entries are there again", func() bool { return j.do("GET", path, "").status == http.StatusOK })
	j.do("GET", "/readyz", "").is(http.StatusOK)
}

func TestMoreRequestsThanMayBeUnderWayAre503WithRetryAfter(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, map[string]string{"JOURNAL_MAX_IN_FLIGHT": "3", "JOURNAL_REDIS_PATIENCE": "20s"})
	path := "/api/entries/" + j.create("before").ID
	server.stop(syscall.SIGTERM)
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { j.post("waits").is(http.StatusCreated) })
	}
	eventually(t, "three requests wait for Redis", func() bool {
		return j.do("GET", path+"x", "").status == http.StatusServiceUnavailable
	})
	for _, request := range [][2]string{{"POST", "/api/entries"}, {"GET", "/api/entries"}, {"GET", path}, {"PUT", path}, {"DELETE", path}} {
		if p := j.do(request[0], request[1], textBody("x")).isUnavailable(); !strings.Contains(p.Detail, "3 requests are under way") {
			t.Errorf("%v is answered with %q", request, p.Detail)
		}
	}
	// Whoever looks after the process is not kept away.
	for _, path := range []string{"/healthz", "/metrics"} {
		j.do("GET", path, "").is(http.StatusOK)
	}
	server.start()
	waiting.Wait()
	j.do("GET", path, "").is(http.StatusOK)
	if strings.Contains(j.log.String(), "request failed") {
		t.Error("each refusal is an error in the log")
	}
}

func TestAProcessThatNeverReachedRedisIsNotReady(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	server.stop(syscall.SIGTERM)
	j := newJournal(t, server, soon)
	j.do("GET", "/readyz", "").isUnavailable()
	j.do("GET", "/healthz", "").is(http.StatusOK)
	server.start()
	eventually(t, "it is ready", func() bool { return j.do("GET", "/readyz", "").status == http.StatusOK })
}

func TestARedisThatRefusesWritesIs503AndStillReads(t *testing.T) {
	t.Parallel()
	primary := newRedisServer(t)
	replica := newReplica(t, primary)
	for name, address := range map[string]string{"NOREPLICAS": primary.address, "READONLY": replica.address} {
		t.Run(name, func(t *testing.T) {
			j := newJournal(t, primary, map[string]string{
				"JOURNAL_REDIS_WRITE_ADDRESS": address, "JOURNAL_REDIS_PATIENCE": "300ms",
			})
			if name == "NOREPLICAS" {
				primary.configure("min-replicas-to-write", "3")
			}
			j.post("x").isUnavailable()
			j.do("GET", "/api/entries", "").is(http.StatusOK)
			j.do("GET", "/readyz", "").is(http.StatusOK)
			if metrics := string(j.do("GET", "/metrics", "").body); !strings.Contains(metrics,
				fmt.Sprintf(`journal_redis_errors_total{address="write",reason=%q}`, name)) {
				t.Error("it is not in the metrics")
			}
		})
	}
}

func TestAReplicaThatLostItsPrimaryAndMayNotServeStaleDataIs503(t *testing.T) {
	t.Parallel()
	primary := newRedisServer(t)
	replica := newReplica(t, primary, "replica-serve-stale-data no")
	j := newJournal(t, primary, map[string]string{
		"JOURNAL_REDIS_READ_ADDRESS": replica.address, "JOURNAL_REDIS_PATIENCE": "300ms",
	})
	primary.stop(syscall.SIGTERM)
	eventually(t, "the replica refuses", func() bool { return j.do("GET", "/readyz", "").status == http.StatusServiceUnavailable })
	j.do("GET", "/api/entries", "").isUnavailable()
}

func TestAFullRedisIs507AndStillReadsAndDeletes(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, nil)
	path := "/api/entries/" + j.create("there").ID
	server.configure("maxmemory", "1")
	j.post("x").isProblem(http.StatusInsufficientStorage)
	j.do("PUT", path, textBody("x")).isProblem(http.StatusInsufficientStorage)
	if left := j.list("20"); len(left) != 1 || left[0].Text != "there" {
		t.Errorf("left %+v, want the entry as it was", left)
	}
	j.do("DELETE", path, "").is(http.StatusNoContent)
}

func TestAnInternalErrorIsLoggedInFullAndNotShown(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, nil)
	entry := j.create("fine")
	if err := server.client().HSet(t.Context(), entryPrefix+entry.ID, "version", "broken").Err(); err != nil {
		t.Fatal(err)
	}
	p := j.do("GET", "/api/entries/"+entry.ID, "").isProblem(http.StatusInternalServerError)
	if p.Detail != "internal error" {
		t.Errorf("shown: %q", p.Detail)
	}
	id := strings.TrimPrefix(p.Instance, "urn:uuid:")
	if log := j.log.String(); !strings.Contains(log, errDamaged.Error()) || !strings.Contains(log, id) {
		t.Errorf("the log does not say what was wrong with request %s:\n%s", id, log)
	}
}

func TestAChangedPasswordIsPickedUpWithoutARestart(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, nil)
	entry := j.create("before")

	admin := server.client()
	admin.Ping(t.Context()) // From now on it has a connection.
	if err := admin.ACLSetUser(t.Context(), "api", "resetpass", ">second-password").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	// The file changes later than the server, as a mounted Secret does: the request waits.
	waiting := make(chan answer, 1)
	go func() { waiting <- j.post("meanwhile") }()
	time.Sleep(300 * time.Millisecond)
	if err := os.WriteFile(j.passwordFile, []byte("second-password"), 0o600); err != nil {
		t.Fatal(err)
	}
	(<-waiting).is(http.StatusCreated)
	j.do("GET", "/api/entries/"+entry.ID, "").is(http.StatusOK)
	j.do("GET", "/readyz", "").is(http.StatusOK)
	if !strings.Contains(j.log.String(), "WRONGPASS") {
		t.Error("the old password was never refused: this test tests nothing")
	}
	if strings.Contains(j.log.String(), "second-password") {
		t.Error("the password is in the log")
	}
}

func TestReadsGoToTheReplicaAndFindWhatWasJustWritten(t *testing.T) {
	t.Parallel()
	primary := newRedisServer(t)
	replica := newReplica(t, primary)
	j := newJournal(t, primary, map[string]string{"JOURNAL_REDIS_READ_ADDRESS": replica.address})
	// A write waits for the replica, at most replicationTime. On a busy machine the replica may take longer, and only then may a
	// read be late.
	late := 0
	finds := func(what string, write func(), read func() bool) {
		t.Helper()
		start := time.Now()
		write()
		switch took := time.Since(start); {
		case read():
		case took < replicationTime:
			t.Fatalf("%s is not found right after a write of %v", what, took)
		default:
			late++
			eventually(t, what+" is found", read)
		}
	}
	for i := range 50 {
		var entry Entry
		finds("the newest entry", func() { entry = j.create(fmt.Sprint("entry ", i)) }, func() bool {
			newest := j.do("GET", "/api/entries?limit=1", "").is(http.StatusOK).page()
			return len(newest.Entries) == 1 && newest.Entries[0] == entry
		})
		finds("the change", func() { j.do("PUT", "/api/entries/"+entry.ID, textBody("changed")).is(http.StatusOK) }, func() bool {
			return j.do("GET", "/api/entries/"+entry.ID, "").entry().Text == "changed"
		})
	}
	if late > 10 {
		t.Errorf("the replica was late after %d of 100 writes: the test shows little", late)
	}
	if calls := primary.calls("zrange"); calls != 0 {
		t.Errorf("%d lists came from the primary", calls)
	}
	if calls := primary.calls("wait"); calls < 100 {
		t.Errorf("%d writes waited for the replica, want 100", calls)
	}

	// A hanging replica only delays a write.
	replica.freeze()
	start := time.Now()
	j.create("late")
	if took := time.Since(start); took < replicationTime || took > 8*replicationTime {
		t.Errorf("the write took %v, want %v and little more", took, replicationTime)
	}
}

func TestAnEntryThatAReplicaHasNotHeardOfIsAskedForAtThePrimary(t *testing.T) {
	t.Parallel()
	primary, behind := newRedisServer(t), newRedisServer(t)
	j := newJournal(t, primary, map[string]string{"JOURNAL_REDIS_READ_ADDRESS": behind.address})
	entry := j.create("new")
	if read := j.do("GET", "/api/entries/"+entry.ID, "").is(http.StatusOK).entry(); read != entry {
		t.Errorf("read %+v, want %+v", read, entry)
	}
}

// quorum is a primary with two replicas, and an API that acknowledges what a majority has.
func quorum(t *testing.T, patience string) (j *journal, primary *redisServer, replicas [2]*redisServer) {
	t.Helper()
	primary = newRedisServer(t)
	replicas = [2]*redisServer{newReplica(t, primary), newReplica(t, primary)}
	return newJournal(t, primary, map[string]string{
		"JOURNAL_REDIS_MIN_REPLICAS": "1", "JOURNAL_REDIS_PATIENCE": patience,
	}), primary, replicas
}

func TestWithAQuorumNothingIsAcknowledgedThatIsOnOneVolume(t *testing.T) {
	t.Parallel()
	j, primary, replicas := quorum(t, "2s")
	entry := j.create("before")
	path := "/api/entries/" + entry.ID
	for _, replica := range replicas {
		replica.freeze()
	}
	var asked sync.WaitGroup
	for i := range 8 {
		text, key := fmt.Sprint("written to one volume ", i), fmt.Sprint("Idempotency-Key: ", i)
		asked.Go(func() {
			if p := j.post(text, key).isUnavailable(); !strings.Contains(p.Detail, "may be kept, or not") {
				t.Errorf("the client hears %q", p.Detail)
			}
			if p := j.post(text, key).isUnavailable(); !strings.Contains(p.Detail, "may be kept, or not") {
				t.Errorf("who repeats it hears %q", p.Detail)
			}
		})
	}
	asked.Go(func() { j.do("PUT", path, textBody("changed")).isUnavailable() })
	asked.Wait()
	j.do("DELETE", path, "").isUnavailable()
	if !primary.holds("written to one volume 0") || replicas[0].holds("written to one volume 0") || replicas[1].holds("written to one volume 0") {
		t.Error("the entry is not on the primary's volume alone: this test tests nothing")
	}

	// One of them is enough, and whoever tries again has one entry.
	replicas[1].thaw()
	for i := range 8 {
		text := fmt.Sprint("written to one volume ", i)
		j.post(text, fmt.Sprint("Idempotency-Key: ", i)).is(http.StatusCreated)
		if !primary.holds(text) || !replicas[1].holds(text) {
			t.Errorf("%q is acknowledged and not on two volumes", text)
		}
	}
	if all := j.list("100"); len(all) != 8 {
		t.Errorf("%d entries, want 8: %+v", len(all), all)
	}
}

func TestWithAQuorumOneReplicaThatHangsDelaysAWriteAndNoMore(t *testing.T) {
	t.Parallel()
	j, primary, replicas := quorum(t, "10s")
	j.create("before")
	replicas[0].freeze()
	for i := range 3 {
		text := fmt.Sprint("written to two volumes ", i)
		start := time.Now()
		j.create(text)
		if took := time.Since(start); took > 8*replicationTime {
			t.Errorf("the write took %v, want about %v", took, replicationTime)
		}
		if !primary.holds(text) || !replicas[1].holds(text) {
			t.Errorf("%q is acknowledged and not on two volumes", text)
		}
	}
}

func TestWithAQuorumAWriteWaitsForAMajorityToComeBack(t *testing.T) {
	t.Parallel()
	j, _, replicas := quorum(t, "10s")
	for _, replica := range replicas {
		replica.freeze()
	}
	waiting := make(chan answer, 1)
	go func() { waiting <- j.post("patient") }()
	time.Sleep(2 * replicationTime)
	replicas[0].thaw()
	(<-waiting).is(http.StatusCreated)
	if !replicas[0].holds("patient") {
		t.Error("it is acknowledged and not on two volumes")
	}
	if all := j.list("20"); len(all) != 1 {
		t.Errorf("%d entries, want the one that was written: %+v", len(all), all)
	}
}

func TestAWriteThatReachedNoRedisIsNotSaidToBeKept(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	j := newJournal(t, server, soon)
	server.configure("min-replicas-to-write", "1")
	for _, why := range []string{"refused", "away"} {
		// Sometimes the patience ends between a question and its answer.
		eventually(t, "the client of a Redis that is "+why+" hears that it is not written", func() bool {
			return !strings.Contains(j.post("x").isUnavailable().Detail, "kept")
		})
		server.stop(syscall.SIGTERM)
	}
}

// lossyProxy forwards to Redis. On demand it runs the next script there, keeps
// the answer and breaks the connection.
type lossyProxy struct {
	address string
	armed   atomic.Bool
	lost    atomic.Int32
}

func (p *lossyProxy) loseNextScript() { p.armed.Store(true) }

func newLossyProxy(t *testing.T, server string) *lossyProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := &lossyProxy{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(client, server)
		}
	}()
	return p
}

func (p *lossyProxy) forward(client net.Conn, server string) {
	redis, err := net.Dial("tcp", server)
	if err != nil {
		_ = client.Close()
		return
	}
	defer func() { _, _ = redis.Close(), client.Close() }()
	var losing atomic.Bool
	go func() {
		copyChunks(redis, client, func(chunk string) bool {
			if strings.Contains(chunk, "evalsha") && p.armed.CompareAndSwap(true, false) {
				losing.Store(true)
			}
			return true
		})
		_ = redis.Close()
	}()
	copyChunks(client, redis, func(string) bool {
		if losing.Load() {
			p.lost.Add(1)
		}
		return !losing.Load()
	})
}

// copyChunks copies what comes, chunk by chunk, as long as pass agrees.
func copyChunks(to, from net.Conn, pass func(chunk string) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !pass(string(buffer[:n])) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
