package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
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
	// replicationTime bounds how long a write waits for the replicas.
	replicationTime = time.Second
)

// Every write leaves a receipt in the same transaction. A write that is tried
// again, because the connection broke before the answer came, finds its own
// receipt and is not applied twice. A receipt named by an Idempotency-Key does
// the same for the client's own repetitions.
var (
	// KEYS: entry, index, receipt. ARGV: id, text, time, receipt, its seconds.
	createScript = redis.NewScript(`
local receipt = redis.call('GET', KEYS[3])
if receipt then return receipt end
redis.call('HSET', KEYS[1], 'text', ARGV[2], 'updatedAt', ARGV[3], 'version', 1)
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SET', KEYS[3], ARGV[4], 'EX', ARGV[5])
return ARGV[4]`)

	// KEYS: entry, receipt. ARGV: text, time, version or 0, seconds of the receipt.
	// Returns the new version, 0 for no such entry, -1 for another version.
	updateScript = redis.NewScript(`
local receipt = redis.call('GET', KEYS[2])
if receipt then return tonumber(receipt) end
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
if redis.call('EXISTS', KEYS[3]) == 1 then return 1 end
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
	log         *slog.Logger
	errors      *prometheus.CounterVec // by address ("write", "read") and reason
}

var _ Store = (*redisStore)(nil)

func newRedisStore(c config, log *slog.Logger, errors *prometheus.CounterVec) *redisStore {
	client := func(name, address string) *redis.Client {
		return redis.NewClient(&redis.Options{
			Addr:       address,
			ClientName: "journal-api-" + name,
			// Asked for every new connection: a changed file needs no restart.
			CredentialsProviderContext: func(context.Context) (string, string, error) {
				password, err := readPassword(c.redisPasswordFile)
				return "default", password, err
			},
			ContextTimeoutEnabled: true,
			DialTimeout:           time.Second,
			ReadTimeout:           3 * time.Second,
			WriteTimeout:          3 * time.Second,
			PoolSize:              32,
			// Connections move to servers that came back, and never outlive a password for long.
			ConnMaxLifetime:       5 * time.Minute,
			ConnMaxLifetimeJitter: time.Minute,
			// ask tries again, and it alone.
			MaxRetries:               -1,
			DialerRetries:            1,
			DisableIdentity:          true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	}
	return &redisStore{
		write:    client("write", c.redisWriteAddress),
		read:     client("read", c.redisReadAddress),
		patience: c.patience,
		log:      log,
		errors:   errors,
	}
}

// readPassword gives the content of the file without white space around it.
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
	err = s.change(ctx, func(ctx context.Context, conn *redis.Conn) (err error) {
		receipt, err = createScript.Run(ctx, conn,
			[]string{entryPrefix + id.String(), indexKey, receiptPrefix + name},
			id.String(), text, createdAt(id).UnixMilli(), id.String()+" "+fingerprint, int(lifetime.Seconds())).Text()
		return err
	})
	if err != nil {
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
		// A replica may not have heard of it yet: the primary knows.
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
	err = s.change(ctx, func(ctx context.Context, conn *redis.Conn) (err error) {
		updated, err = verdict(updateScript.Run(ctx, conn, []string{entryPrefix + id, receipt},
			text, now.UnixMilli(), version, int(s.receiptTime().Seconds())))
		return err
	})
	return Entry{ID: id, Text: text, CreatedAt: createdAt(parsed), UpdatedAt: now, Version: updated}, err
}

func (s *redisStore) Delete(ctx context.Context, id string, version int64) error {
	receipt := receiptPrefix + "write:" + uuid.NewString()
	return s.change(ctx, func(ctx context.Context, conn *redis.Conn) error {
		_, err := verdict(deleteScript.Run(ctx, conn, []string{entryPrefix + id, indexKey, receipt},
			id, version, int(s.receiptTime().Seconds())))
		return err
	})
}

// Ready tries a connection that is not used again, so that it finds out what a
// new one would: whether the address, the password and the server are good.
func (s *redisStore) Ready(ctx context.Context) error {
	conn := s.read.EphemeralConn()
	defer func() { _ = conn.Close() }()
	return conn.Ping(ctx).Err()
}

// receiptTime is how long the receipt of a write without a key is of use.
func (s *redisStore) receiptTime() time.Duration { return s.patience + time.Minute }

// change runs a script at the primary and waits, for replicationTime at most,
// until every replica that is in sync has the result: whoever is told that an
// entry was written then reads it from any of them. A replica that hangs
// delays a write, but does not fail it.
func (s *redisStore) change(ctx context.Context, script func(context.Context, *redis.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.ask(ctx, s.write, "write", func(ctx context.Context, conn *redis.Conn) error {
		if err := script(ctx, conn); err != nil {
			return err
		}
		info, err := conn.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		inSync := len(replicaInSync.FindAllString(info, -1))
		if inSync == 0 {
			return nil
		}
		reached, err := conn.Wait(ctx, inSync, replicationTime).Result()
		if err == nil && int(reached) < inSync {
			s.log.WarnContext(ctx, "replicas are late", "inSync", inSync, "reached", reached)
		}
		return err
	})
}

// replicaInSync matches a replica that was heard of in the last two seconds. The
// lag is -1 if that was after the last tick of the primary's clock.
var replicaInSync = regexp.MustCompile(`(?m)^slave\d+:.*state=online.*lag=(-1|[012])\b`)

// ask runs do on one connection, and again on another while the server cannot
// serve right now, until ctx ends.
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
		// From now on each try uses its connection up: the next one may reach
		// another server, and knows the password of today.
		conn = client.EphemeralConn()
	}
}

// diagnose names what kept Redis from answering, and tells whether it may pass.
// An answer, a refusal of ours included, has no reason.
func diagnose(err error) (reason string, passing bool) {
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrVersionMismatch):
		return "", false
	case errors.Is(err, errDamaged):
		return "damaged", false
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

// verdict reads what updateScript and deleteScript return.
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

// errDamaged says that a key holds what this program does not write.
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
