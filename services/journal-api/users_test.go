package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestUsersOfRedisMayDoWhatTheyAreForAndNothingElse(t *testing.T) {
	t.Parallel()
	server := newRedisServer(t)
	passwords := map[string]string{"api": server.password, "replica": "replica-password", "probe": "probe-password", "monitor": "monitor-password"}
	for _, c := range []struct{ user, does, doesNot string }{
		{"api", "GET {journal}:entry:none", "GET {other}:entry"},
		{"api", "PING", "FLUSHALL"},
		{"api", "INFO replication", "FLUSHDB"},
		{"api", "WAIT 0 1", "REPLICAOF NO ONE"},
		{"api", "EVAL return+1 0", "EVAL redis.call('FLUSHALL') 0"},
		{"api", "ZRANGE {journal}:entries 0 -1", "ACL LIST"},
		{"api", "CLIENT SETNAME journal-api", "CLIENT KILL TYPE normal"},
		{"api", "DEL {journal}:entry:none", "SHUTDOWN NOSAVE"},
		{"api", "", "CONFIG GET *"},
		{"api", "", "KEYS *"},
		{"api", "", "SCAN 0"},
		{"api", "", "MONITOR"},
		{"api", "", "SCRIPT FLUSH"},
		{"api", "", "FUNCTION FLUSH"},
		{"api", "", "PSYNC ? -1"},
		{"api", "", "SUBSCRIBE news"},
		{"api", "", "RENAME {journal}:entries {other}:entries"},
		{"api", "", "SELECT 1"},
		{"replica", "PING", "GET {journal}:entry:none"},
		{"replica", "REPLCONF capa eof", "INFO"},
		{"probe", "INFO replication", "GET {journal}:entry:none"},
		{"probe", "", "PING"},
		{"probe", "", "CONFIG GET *"},
		{"monitor", "INFO ALL", "GET {journal}:entry:none"},
		{"monitor", "PING", "CONFIG GET *"},
		{"monitor", "", "SLOWLOG GET 1"},
		{"monitor", "", "CLIENT LIST"},
		{"monitor", "", "SCAN 0"},
		{"monitor", "", "MONITOR"},
	} {
		t.Run(c.user+" does not "+c.doesNot, func(t *testing.T) {
			client := server.as(c.user, passwords[c.user])
			if c.does != "" {
				if err := client.Do(t.Context(), words(c.does)...).Err(); err != nil && !errors.Is(err, redis.Nil) {
					t.Errorf("%s: %v", c.does, err)
				}
			}
			if err := client.Do(t.Context(), words(c.doesNot)...).Err(); err == nil || !strings.Contains(strings.ToLower(err.Error()), "permission") &&
				!strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "can't run this command") {
				t.Errorf("is answered with %v", err)
			}
		})
	}
}

// words are the words of a command, in which + stands for a space.
func words(command string) (all []any) {
	for word := range strings.FieldsSeq(command) {
		all = append(all, strings.ReplaceAll(word, "+", " "))
	}
	return all
}

func TestEveryUserMovesToAnotherPasswordWithoutAFailedRequest(t *testing.T) {
	t.Parallel()
	primary := newRedisServer(t)
	replica := newReplica(t, primary)
	j := newJournal(t, primary, map[string]string{
		"JOURNAL_REDIS_READ_ADDRESS": replica.address, "JOURNAL_REDIS_MIN_REPLICAS": "1", "JOURNAL_REDIS_PATIENCE": "25s",
	})
	stop := j.keepPosting("rotating")

	// As a rollout does: each Redis restarts with both passwords, the replica first, and then the API gets the new one.
	for _, server := range []*redisServer{replica, primary} {
		server.stop(syscall.SIGTERM)
		both := server.readFile("redis.conf")
		for user, password := range map[string]string{"api": server.password, "replica": "replica-password", "probe": "probe-password"} {
			both = strings.Replace(both, "user "+user+" on >"+password, "user "+user+" on >second-of-"+user+" >"+password, 1)
		}
		server.writeFile("redis.conf", both)
		server.start()
		for range 5 {
			j.create("with both passwords")
		}
		replica.settle()
	}
	if err := os.WriteFile(j.passwordFile, []byte("second-of-api"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The next rotation forgets the first one.
	for _, server := range []*redisServer{replica, primary} {
		server.stop(syscall.SIGTERM)
		only := strings.ReplaceAll(server.readFile("redis.conf"), " >"+server.password, "")
		only = strings.ReplaceAll(only, " >replica-password", "")
		server.writeFile("redis.conf", strings.ReplaceAll(only, "masterauth replica-password", "masterauth second-of-replica"))
		server.start()
		for range 5 {
			j.create("with the second password")
		}
		replica.settle()
	}
	if want, all := 20+len(stop()), len(j.list("100")); all != want {
		t.Errorf("%d entries are there, and %d were acknowledged", all, want)
	}
	for user, password := range map[string]string{"api": "first-password", "replica": "replica-password"} {
		t.Run(user, func(t *testing.T) {
			if err := primary.as(user, password).Ping(context.Background()).Err(); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("the first password is answered with %v", err)
			}
		})
	}
}
