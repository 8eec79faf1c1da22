# What start.sh and ready.sh share.

password() {
	cat /run/secrets/redis/password
}

# ask COMMAND [redis-cli option...] sends one command as an authenticated client and prints the answer. The password
# goes through standard input. There is no timeout(1) around it: some of its kinds leave a process behind that the
# container's first process, Redis, never collects. The kubelet bounds the probe.
ask() {
	command=$1
	shift
	printf 'AUTH %s\n%s\n' "$(password)" "$command" | redis-cli "$@" | tail -n +2
}
