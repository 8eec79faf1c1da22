# What start.sh and ready.sh share.

password() {
	cat /run/secrets/redis/password
}

# previous prints the password before the current one, which is accepted too, or the current one where there is none.
previous() {
	cat /run/secrets/redis/previous 2>/dev/null || password
}

# ask COMMAND [redis-cli option...] sends one command as an authenticated client and prints the answer. The password
# goes through standard input. There is no timeout(1) around it: some of its kinds leave a process behind that the
# container's first process, Redis, never collects. The kubelet bounds the probe.
ask() {
	command=$1
	shift
	printf 'AUTH %s\n%s\n' "$(password)" "$command" | redis-cli "$@" | tail -n +2
}
