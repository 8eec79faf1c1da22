#!/bin/sh
# Starts Redis as the primary in the pod with ordinal 0 and as its replica in every other pod.
# The password reaches Redis through standard input: not by an argument, a variable or a file on a disk.
set -eu
. /etc/redis/lib.sh

case "$HOSTNAME" in
*-0)
	# An empty primary would make its replicas empty too. If a replica (there are at most eight) still has entries,
	# the volume was lost: a person decides, and nothing is overwritten until then.
	if [ ! -d /data/appendonlydir ]; then
		for ordinal in 1 2 3 4 5 6 7 8; do
			peer="${HOSTNAME%-0}-$ordinal.$PEERS"
			# A replica without its primary answers INFO and nothing else.
			keys=$(ask 'INFO keyspace' -h "$peer" 2>/dev/null | sed -n 's/^db0:keys=\([0-9]*\).*/\1/p')
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

# The current password is accepted, and the one before it: clients move from one to the other while this runs. A replica
# comes to the primary with the one before, which the primary accepts before and after its own turn to be updated.
# Replicas announce the name that stays theirs, since their address does not.
exec redis-server /etc/redis/redis.conf - <<EOF
maxmemory $MAX_MEMORY
replica-announce-ip $HOSTNAME.$PEERS
user default on ~* &* +@all >$(password) >$(previous)
masterauth "$(previous)"
$role
EOF
