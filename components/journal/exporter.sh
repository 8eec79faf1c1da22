#!/bin/sh
# Makes the user with which this pod's exporter signs in to this pod's Redis, at the address $1. It runs before both.
# No other pod has the password, no disk holds it, and it ends with the pod. So there is nothing to rotate.
set -eu
[ ! -s /run/exporter/passwords.json ] || exit 0 # Redis alone was started again
umask 077
password=$(cat /proc/sys/kernel/random/uuid) # 122 random bits
# redis.conf includes this.
echo "user monitor on >$password $(cat /etc/redis/monitor)" >/run/exporter/monitor.conf
# The exporter finds a password by the address. Asked to look at another Redis, it has none to give away.
echo "{\"$1\":\"$password\"}" >/run/exporter/passwords.json
