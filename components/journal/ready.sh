#!/bin/sh
# Succeeds if this Redis can serve requests: as a primary that has loaded its data, or as a replica in sync with it.
set -eu
. /etc/redis/lib.sh

info=$(ask probe 'INFO replication' | tr -d '\r')
case "$info" in
*role:master*) ;;
*role:slave*master_link_status:up*) ;;
*)
	echo "not in sync: $info" >&2
	exit 1
	;;
esac
