#!/bin/sh
# Tells that an interface went down or came up, as a switch would, with net-snmp's commands:
#   link.sh down 7 | link.sh up 7                # a trap
#   PROGRAM=snmpinform link.sh down 7            # an inform, which is answered
# A switch is configured alike: version 2c, community, our address and port.
set -eu
case $1 in
    down) trap=1.3.6.1.6.3.1.1.5.3 status=2 ;;
    up) trap=1.3.6.1.6.3.1.1.5.4 status=1 ;;
    *) echo "usage: link.sh down|up INTERFACE" >&2; exit 2 ;;
esac
"${PROGRAM:-snmptrap}" -v 2c -c plant -r 5 -t 1 127.0.0.1:9162 '' "$trap" \
    "1.3.6.1.2.1.2.2.1.1.$2" i "$2" \
    "1.3.6.1.2.1.2.2.1.8.$2" i "$status" \
    "1.3.6.1.2.1.31.1.1.1.1.$2" s "Gi0/$2"
