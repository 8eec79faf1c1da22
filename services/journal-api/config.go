package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// config is the environment, parsed and checked.
type config struct {
	listenAddress     string
	redisWriteAddress string
	redisReadAddress  string
	redisUser         string
	redisPasswordFile string
	redisMinReplicas  int
	patience          time.Duration
	maxInFlight       int
	shutdownDelay     time.Duration
	logLevel          slog.Level
	readOnly          bool
}

// loadConfig reads the environment and reports everything that is wrong with
// it at once.
func loadConfig(getenv func(string) string) (config, error) {
	var problems []error
	text := func(name, fallback string) string {
		if value := getenv(name); value != "" {
			return value
		}
		return fallback
	}
	address := func(name, fallback string) string {
		value := text(name, fallback)
		if _, port, err := net.SplitHostPort(value); err != nil || port == "" {
			problems = append(problems, fmt.Errorf("%s %q: not an address; write host:port", name, value))
		}
		return value
	}
	duration := func(name string, fallback, least time.Duration) time.Duration {
		value, err := time.ParseDuration(text(name, fallback.String()))
		if err != nil || value < least || value > time.Minute {
			problems = append(problems, fmt.Errorf("%s %q: not a duration from %v to 1m; write for example %q",
				name, getenv(name), least, fallback))
		}
		return value
	}

	count := func(name string, fallback, least, most int) int {
		value, err := strconv.Atoi(text(name, strconv.Itoa(fallback)))
		if err != nil || value < least || value > most {
			problems = append(problems, fmt.Errorf("%s %q: not a whole number from %d to %d; write for example %d",
				name, getenv(name), least, most, fallback))
		}
		return value
	}

	c := config{
		listenAddress:     address("JOURNAL_LISTEN_ADDRESS", ":8080"),
		redisWriteAddress: address("JOURNAL_REDIS_WRITE_ADDRESS", ""),
		redisUser:         text("JOURNAL_REDIS_USER", "default"),
		redisPasswordFile: text("JOURNAL_REDIS_PASSWORD_FILE", ""),
		redisMinReplicas:  count("JOURNAL_REDIS_MIN_REPLICAS", 0, 0, 8),
		patience:          duration("JOURNAL_REDIS_PATIENCE", 20*time.Second, 100*time.Millisecond),
		maxInFlight:       count("JOURNAL_MAX_IN_FLIGHT", 100, 1, 10_000),
		shutdownDelay:     duration("JOURNAL_SHUTDOWN_DELAY", 5*time.Second, 0),
	}
	c.redisReadAddress = c.redisWriteAddress
	if getenv("JOURNAL_REDIS_READ_ADDRESS") != "" {
		c.redisReadAddress = address("JOURNAL_REDIS_READ_ADDRESS", "")
	}
	if _, err := readPassword(c.redisPasswordFile); err != nil {
		problems = append(problems, fmt.Errorf("JOURNAL_REDIS_PASSWORD_FILE %q: %w; name a file with the password in it",
			c.redisPasswordFile, err))
	}
	switch value := text("JOURNAL_READ_ONLY", "false"); value {
	case "true", "false":
		c.readOnly = value == "true"
	default:
		problems = append(problems, fmt.Errorf("JOURNAL_READ_ONLY %q: not a boolean; write true or false", value))
	}
	if level := text("JOURNAL_LOG_LEVEL", "info"); c.logLevel.UnmarshalText([]byte(level)) != nil {
		problems = append(problems, fmt.Errorf("JOURNAL_LOG_LEVEL %q: not a level; write debug, info, warn or error", level))
	}
	return c, errors.Join(problems...)
}
