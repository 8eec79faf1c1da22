#!/bin/sh
# Succeeds when this Redis may be sent requests: a primary that has loaded its data, or a replica in sync with it.
set -eu
. /etc/redis/lib.sh

info=$(ask 'INFO replication' | tr -d '\r')
case "$info" in
*role:master*) ;;
*role:slave*master_link_status:up*) ;;
*)
	echo "not in sync: $info" >&2
	exit 1
	;;
esac
