# What start.sh and ready.sh share.

password() {
	cat /run/secrets/redis/password
}

# ask COMMAND [redis-cli option...] sends one command as an authenticated client and prints the answer. The password
# goes through standard input.
ask() {
	command=$1
	shift
	printf 'AUTH %s\n%s\n' "$(password)" "$command" | timeout 2 redis-cli "$@" | tail -n +2
}
