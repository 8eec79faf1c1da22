# Functions that start.sh and ready.sh share.

# password USER prints the current password of a user of Redis.
password() {
	cat "/run/secrets/redis/$1"
}

# previous USER prints the password before the current one, which Redis accepts too. Without one, it prints the current one.
previous() {
	cat "/run/secrets/redis/previous-1-$1" 2>/dev/null || password "$1"
}

# accepted USER prints all passwords that Redis accepts from a user, in the form of Redis' configuration.
accepted() {
	printf '>%s' "$(password "$1")"
	for file in "/run/secrets/redis/previous-"*"-$1"; do
		if [ -e "$file" ]; then
			printf ' >%s' "$(cat "$file")"
		fi
	done
}

# ask USER COMMAND [redis-cli option...] sends one command as a user of Redis and prints the answer. The password goes
# through standard input. It does not use timeout(1): some implementations leave a zombie behind, which the container's first
# process, Redis, never reaps. The kubelet limits the time of the probe.
ask() {
	user=$1
	command=$2
	shift 2
	printf 'AUTH %s %s\n%s\n' "$user" "$(password "$user")" "$command" | redis-cli "$@" | tail -n +2
}
