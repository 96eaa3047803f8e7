#!/bin/sh
# Makes the random tokens that `wires.yaml` names, and puts one beside each sender that reads it from
# there. What is there is kept, so it can be run again. Git ignores them.
#
# They end without a line feed: rsyslog takes a file as it is.
set -eu
cd "$(dirname "$0")"
umask 077

new() {
    [ -s "$1" ] || openssl rand -hex 32 | tr -d '\n' >"$1"
}

new token
new ticketing/token
for sender in prometheus alertmanager vmagent; do
    cp token "$sender/token"
done
