package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// The keys. They share a hash tag, so that one script may touch them all.
//
//	{journal}:entries        sorted set of the ids, all with score 0: ordered by id, which is by time
//	{journal}:entry:<id>     hash: text, updatedAt (Unix milliseconds), version
//	{journal}:receipt:<name> what a write did, see the scripts
const (
	indexKey      = "{journal}:entries"
	entryPrefix   = "{journal}:entry:"
	receiptPrefix = "{journal}:receipt:"
)

const (
	idempotencyTime = 24 * time.Hour
	// replicationTime is the longest that a write waits for the replicas. After firstWait it asks how many are in sync.
	replicationTime = time.Second
	firstWait       = 100 * time.Millisecond
)

// Every write stores a receipt in the same transaction. A write that is retried, because the connection broke before the
// answer or too few replicas had it, finds its own receipt and is not applied twice. A receipt named by an Idempotency-Key
// does the same for the client's own retries.
//
// A write that finds a receipt sets its time to live again. That is a write too: WAIT considers what its own connection has
// written, and so waits until the replicas have this and everything before it.
var (
	// KEYS: entry, index, receipt. ARGV: id, text, time, receipt, its seconds.
	createScript = redis.NewScript(`
local receipt = redis.call('GET', KEYS[3])
if receipt then
  redis.call('EXPIRE', KEYS[3], ARGV[5])
  return receipt
end
redis.call('HSET', KEYS[1], 'text', ARGV[2], 'updatedAt', ARGV[3], 'version', 1)
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SET', KEYS[3], ARGV[4], 'EX', ARGV[5])
return ARGV[4]`)

	// KEYS: entry, receipt. ARGV: text, time, version or 0, seconds of the receipt.
	// Returns the new version, 0 for no such entry, -1 for another version.
	updateScript = redis.NewScript(`
local receipt = redis.call('GET', KEYS[2])
if receipt then
  redis.call('EXPIRE', KEYS[2], ARGV[4])
  return tonumber(receipt)
end
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 0 end
if ARGV[3] ~= '0' and ARGV[3] ~= version then return -1 end
version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HSET', KEYS[1], 'text', ARGV[1], 'updatedAt', ARGV[2])
redis.call('SET', KEYS[2], version, 'EX', ARGV[4])
return version`)

	// KEYS: entry, index, receipt. ARGV: id, version or 0, seconds of the receipt.
	// Returns 1, 0 for no such entry, -1 for another version. DEL comes before
	// the receipt: a full Redis refuses a script's first write if it needs memory.
	deleteScript = redis.NewScript(`
if redis.call('EXPIRE', KEYS[3], ARGV[3]) == 1 then return 1 end
local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 0 end
if ARGV[2] ~= '0' and ARGV[2] ~= version then return -1 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], 1, 'EX', ARGV[3])
return 1`)
)

// redisStore is the Store in Redis.
type redisStore struct {
	write, read *redis.Client
	patience    time.Duration
	// minReplicas is how many replicas must have a write before it is acknowledged.
	minReplicas int
	// inSync is how many replicas were in sync when last asked.
	inSync atomic.Int64
	log    *slog.Logger
	errors *prometheus.CounterVec // by address ("write", "read") and reason
}

var _ Store = (*redisStore)(nil)

func newRedisStore(c config, log *slog.Logger, errors *prometheus.CounterVec) *redisStore {
	client := func(name, address string) *redis.Client {
		return redis.NewClient(&redis.Options{
			Addr:       address,
			ClientName: "journal-api-" + name,
			// Called for every new connection, so that a changed file needs no restart.
			CredentialsProviderContext: func(context.Context) (string, string, error) {
				password, err := readPassword(c.redisPasswordFile)
				return c.redisUser, password, err
			},
			ContextTimeoutEnabled: true,
			DialTimeout:           time.Second,
			ReadTimeout:           3 * time.Second,
			WriteTimeout:          3 * time.Second,
			PoolSize:              32,
			// Connections move to servers that returned, and do not outlive a password for long.
			ConnMaxLifetime:       5 * time.Minute,
			ConnMaxLifetimeJitter: time.Minute,
			// Only ask retries.
			MaxRetries:               -1,
			DialerRetries:            1,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	}
	return &redisStore{
		write:       client("write", c.redisWriteAddress),
		read:        client("read", c.redisReadAddress),
		patience:    c.patience,
		minReplicas: c.redisMinReplicas,
		log:         log,
		errors:      errors,
	}
}

// readPassword returns the content of the file without white space around it.
func readPassword(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	password := strings.TrimSpace(string(content))
	if password == "" {
		return "", errors.New("the file is empty")
	}
	return password, nil
}

func (s *redisStore) Close() error {
	return errors.Join(s.write.Close(), s.read.Close())
}

func (s *redisStore) Create(ctx context.Context, text, idempotencyKey string) (Entry, bool, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Entry{}, false, err
	}
	name, lifetime := "write:"+id.String(), s.receiptTime()
	if idempotencyKey != "" {
		name, lifetime = "key:"+idempotencyKey, idempotencyTime
	}
	digest := sha256.Sum256([]byte(text))
	fingerprint := hex.EncodeToString(digest[:])

	var receipt string
	if err := s.change(ctx, createScript, func(answer *redis.Cmd) (err error) {
		receipt, err = answer.Text()
		return err
	}, []string{entryPrefix + id.String(), indexKey, receiptPrefix + name},
		id.String(), text, createdAt(id).UnixMilli(), id.String()+" "+fingerprint, int(lifetime.Seconds())); err != nil {
		return Entry{}, false, err
	}
	made, of, _ := strings.Cut(receipt, " ")
	if of != fingerprint {
		return Entry{}, false, ErrKeyReused
	}
	first, err := uuid.Parse(made)
	if err != nil {
		return Entry{}, false, fmt.Errorf("receipt %q: %w", name, err)
	}
	// The text is the same: this is the entry as it was created, whatever became of it.
	at := createdAt(first)
	return Entry{ID: made, Text: text, CreatedAt: at, UpdatedAt: at, Version: 1}, first != id, nil
}

func (s *redisStore) Get(ctx context.Context, id string) (entry Entry, err error) {
	get := func(ctx context.Context, conn *redis.Conn) (err error) {
		entry, err = parseEntry(id, conn.HGetAll(ctx, entryPrefix+id))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err = s.ask(ctx, s.read, "read", get)
	if errors.Is(err, ErrNotFound) {
		// A replica may not have the entry yet: the primary knows.
		err = s.ask(ctx, s.write, "write", get)
	}
	return entry, err
}

func (s *redisStore) List(ctx context.Context, before string, limit int) (entries []Entry, next string, err error) {
	newest := "+"
	if before != "" {
		newest = "(" + before
	}
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err = s.ask(ctx, s.read, "read", func(ctx context.Context, conn *redis.Conn) error {
		ids, err := conn.ZRangeArgs(ctx, redis.ZRangeArgs{
			Key: indexKey, Start: newest, Stop: "-", ByLex: true, Rev: true, Count: int64(limit) + 1,
		}).Result()
		if err != nil {
			return err
		}
		entries, next = make([]Entry, 0, len(ids)), ""
		if len(ids) > limit {
			ids = ids[:limit]
			next = ids[limit-1]
		}
		hashes, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, id := range ids {
				pipe.HGetAll(ctx, entryPrefix+id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i, hash := range hashes {
			entry, err := parseEntry(ids[i], hash.(*redis.MapStringStringCmd))
			switch {
			case errors.Is(err, ErrNotFound): // Deleted since the index was read.
			case err != nil:
				return err
			default:
				entries = append(entries, entry)
			}
		}
		return nil
	})
	return entries, next, err
}

func (s *redisStore) Update(ctx context.Context, id, text string, version int64) (Entry, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return Entry{}, ErrNotFound
	}
	receipt := receiptPrefix + "write:" + uuid.NewString()
	now := time.Now().UTC().Truncate(time.Millisecond)
	var updated int64
	err = s.change(ctx, updateScript, func(answer *redis.Cmd) (err error) {
		updated, err = verdict(answer)
		return err
	}, []string{entryPrefix + id, receipt}, text, now.UnixMilli(), version, int(s.receiptTime().Seconds()))
	return Entry{ID: id, Text: text, CreatedAt: createdAt(parsed), UpdatedAt: now, Version: updated}, err
}

func (s *redisStore) Delete(ctx context.Context, id string, version int64) error {
	receipt := receiptPrefix + "write:" + uuid.NewString()
	return s.change(ctx, deleteScript, func(answer *redis.Cmd) error {
		_, err := verdict(answer)
		return err
	}, []string{entryPrefix + id, indexKey, receipt}, id, version, int(s.receiptTime().Seconds()))
}

// Ready uses a connection that is not used again, so that it checks what a new one needs: the address, the password and the
// server.
func (s *redisStore) Ready(ctx context.Context) error {
	conn := s.read.EphemeralConn()
	defer func() { _ = conn.Close() }()
	return conn.Ping(ctx).Err()
}

// receiptTime is how long the receipt of a write without a key is kept.
func (s *redisStore) receiptTime() time.Duration { return s.patience + time.Minute }

// errUnconfirmed says that too few replicas have a write.
var errUnconfirmed = errors.New("too few replicas have the write")

// change runs a script at the primary, lets read parse its answer, and waits for the replicas. At least minReplicas of them
// must have the result, or it is not acknowledged. It waits for every other one in sync too, for at most a second. An
// acknowledged write is therefore on as many volumes as the stack requires, and a client that knows of it can read it from any
// replica. A hanging replica delays a write, but does not fail it while enough others have it.
//
// An unconfirmed write is retried for as long as the patience lasts: the script finds its receipt. After that its result is
// unknown, and the error says so.
func (s *redisStore) change(ctx context.Context, script *redis.Script, read func(*redis.Cmd) error, keys []string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	uncertain := false
	err := s.ask(ctx, s.write, "write", func(ctx context.Context, conn *redis.Conn) error {
		err := s.tryChange(ctx, conn, script, read, keys, args...)
		uncertain = uncertain || mayHaveWritten(err)
		return err
	})
	if uncertain && errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return err
}

// tryChange sends everything in one round trip: the script, the wait for the replicas and the question how many are in sync.
// It needs a second one if the script is not loaded yet, or if other replicas are in sync than for the last write.
func (s *redisStore) tryChange(
	ctx context.Context, conn *redis.Conn, script *redis.Script, read func(*redis.Cmd) error, keys []string, args ...any,
) error {
	wanted := max(int(s.inSync.Load()), s.minReplicas)
	var answer, reached *redis.Cmd
	var info *redis.StringCmd
	send := func(run func(context.Context, redis.Scripter, []string, ...any) *redis.Cmd) error {
		_, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			answer = run(ctx, pipe, keys, args...)
			reached = pipe.Do(ctx, "WAIT", wanted, firstWait.Milliseconds())
			info = pipe.Info(ctx, "replication")
			return nil
		})
		if answer.Err() == nil && reached.Err() == nil && info.Err() == nil {
			return err // There was no connection to send them on.
		}
		return nil
	}
	err := send(script.EvalSha)
	if redis.HasErrorPrefix(answer.Err(), "NOSCRIPT") {
		err = send(script.Eval)
	}
	if err != nil {
		return err
	}
	if err := read(answer); err != nil {
		return err
	}
	have, err := reached.Int()
	if err := errors.Join(err, info.Err()); err != nil {
		return fmt.Errorf("%w: %w", errUnconfirmed, err)
	}
	inSync := len(replicaInSync.FindAllString(info.Val(), -1))
	s.inSync.Store(int64(inSync))
	if have < max(inSync, s.minReplicas) {
		again, err := conn.Wait(ctx, max(inSync, s.minReplicas), replicationTime-firstWait).Result()
		if err != nil {
			return fmt.Errorf("%w: %w", errUnconfirmed, err)
		}
		have = int(again)
	}
	if have < s.minReplicas {
		return fmt.Errorf("%w: %d of the %d that must", errUnconfirmed, have, s.minReplicas)
	}
	if have < inSync {
		s.log.WarnContext(ctx, "replicas are late", "inSync", inSync, "reached", have)
	}
	return nil
}

// mayHaveWritten reports whether a script may have run although its caller has no valid answer. It has not if Redis refused
// it, or could not be reached at all.
func mayHaveWritten(err error) bool {
	var network *net.OpError
	switch {
	case err == nil, errors.As(err, new(redis.Error)) && !errors.Is(err, errUnconfirmed):
		return false
	case errors.As(err, &network) && network.Op == "dial":
		return false
	}
	return true
}

// replicaInSync matches a replica that answered within the last two seconds. The lag is -1 if it answered after the last tick
// of the primary's clock.
var replicaInSync = regexp.MustCompile(`(?m)^slave\d+:.*state=online.*lag=(-1|[012])\b`)

// ask runs do on one connection, and retries on another while the server cannot serve, until ctx ends.
func (s *redisStore) ask(ctx context.Context, client *redis.Client, address string,
	do func(context.Context, *redis.Conn) error,
) error {
	conn := client.Conn()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := do(ctx, conn)
		_ = conn.Close()
		reason, passing := diagnose(err)
		if reason == "" {
			return err
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return ctx.Err() // The client has gone.
		}
		s.errors.WithLabelValues(address, reason).Inc()
		switch {
		case reason == "OOM":
			return fmt.Errorf("%w: redis %s: %w", ErrFull, address, err)
		case !passing:
			return fmt.Errorf("redis %s: %w", address, err)
		}
		s.log.DebugContext(ctx, "redis cannot serve now", "address", address, "reason", reason, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: redis %s: %w", ErrUnavailable, address, err)
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
		// From here each try closes its connection: the next one may reach another server, and uses the current password.
		conn = client.EphemeralConn()
	}
}

// diagnose names what kept Redis from answering, and reports whether it may pass. An answer, including a refusal of ours, has
// no reason.
func diagnose(err error) (reason string, passing bool) {
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrVersionMismatch):
		return "", false
	case errors.Is(err, errDamaged):
		return "damaged", false
	case errors.Is(err, errUnconfirmed):
		return "unconfirmed", true
	case !errors.As(err, new(redis.Error)):
		return "connection", true
	case redis.HasErrorPrefix(err, "max number of clients"):
		return "MAXCLIENTS", true
	}
	for _, reason := range []string{
		"LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY", "UNBLOCKED", "WRONGPASS", "NOAUTH",
	} {
		if redis.HasErrorPrefix(err, reason+" ") {
			return reason, true
		}
	}
	if redis.HasErrorPrefix(err, "OOM ") {
		return "OOM", false
	}
	return "other", false
}

// verdict reads the result of updateScript and deleteScript.
func verdict(answer *redis.Cmd) (version int64, err error) {
	version, err = answer.Int64()
	switch {
	case err != nil:
		return 0, err
	case version == 0:
		return 0, ErrNotFound
	case version < 0:
		return 0, ErrVersionMismatch
	}
	return version, nil
}

// errDamaged says that a key holds something that this program does not write.
var errDamaged = errors.New("damaged entry")

// parseEntry reads the hash of an entry.
func parseEntry(id string, cmd *redis.MapStringStringCmd) (Entry, error) {
	hash, err := cmd.Result()
	if err != nil {
		return Entry{}, err
	}
	if len(hash) == 0 {
		return Entry{}, ErrNotFound
	}
	parsed, err := uuid.Parse(id)
	if err != nil {
		return Entry{}, fmt.Errorf("%w %q: %w", errDamaged, id, err)
	}
	var fields struct {
		Text      string `redis:"text"`
		UpdatedAt int64  `redis:"updatedAt"`
		Version   int64  `redis:"version"`
	}
	if err := cmd.Scan(&fields); err != nil {
		return Entry{}, fmt.Errorf("%w %q: %w", errDamaged, id, err)
	}
	return Entry{
		ID: id, Text: fields.Text, Version: fields.Version,
		CreatedAt: createdAt(parsed), UpdatedAt: time.UnixMilli(fields.UpdatedAt).UTC(),
	}, nil
}

// createdAt is the time in the id.
func createdAt(id uuid.UUID) time.Time {
	return time.Unix(id.Time().UnixTime()).UTC()
}
