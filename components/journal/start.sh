#!/bin/sh
# Starts Redis as the primary in the pod with ordinal 0 and as its replica in every other pod.
# Redis reads the passwords from standard input, so that no argument, variable or file on a disk holds them.
set -eu
. /etc/redis/lib.sh

case "$HOSTNAME" in
*-0)
	# The replicas of an empty primary delete their data. So if the volume is empty and a replica (there are at most eight)
	# has entries, the volume was lost. Redis then does not start until a person has decided which data to keep.
	if [ ! -d /data/appendonlydir ]; then
		for ordinal in 1 2 3 4 5 6 7 8; do
			peer="${HOSTNAME%-0}-$ordinal.$PEERS"
			# A replica without its primary answers INFO and nothing else.
			keys=$(ask probe 'INFO keyspace' -h "$peer" 2>/dev/null | sed -n 's/^db0:keys=\([0-9]*\).*/\1/p')
			if [ -n "$keys" ]; then
				echo "the volume of the primary is empty but $peer holds $keys keys: restore the volume from it, or delete the volumes of the replicas" >&2
				exit 1
			fi
		done
	fi
	role="min-replicas-to-write $MIN_REPLICAS_TO_WRITE"
	;;
*)
	role="replicaof $PRIMARY 6379"
	;;
esac

# users prints the users of Redis. Each has only the rights that it needs: the API reads and writes entries, a replica
# replicates, a probe asks for the state. Redis accepts the current password of each user and the ones listed after it, so
# that clients can move to the current one while Redis runs.
# The user default is off, so nobody can sign in as it. It keeps all rights, because Redis reads its log as this user when it
# starts. If the user may not run a command of a transaction in the log, Redis skips the whole transaction without an error.
users() {
	echo "user default off ~* &* +@all"
	while read -r user rules; do
		echo "user $user on $(accepted "$user") $rules"
	done </etc/redis/users
}

# A replica signs in with the password before the current one, since the primary accepts that both before and after its own
# update. It announces its name, because its address changes with each pod.
exec redis-server /etc/redis/redis.conf - <<EOF
maxmemory $MAX_MEMORY
replica-announce-ip $HOSTNAME.$PEERS
$(users)
masteruser replica
masterauth "$(previous replica)"
$role
EOF
