#!/bin/sh
# Gets real ticketing systems into the ignored folder .tools/itsm, for the tests of the bridges, each by its own script:
#   rt        Request Tracker 5, from Debian's packages
#   redmine   Redmine 5, likewise
#   roundup   Roundup 2.6, from the Python package index
#   mail      aiosmtpd 1.4, a mail server with a Maildir, likewise
# Nothing is installed or started. Safe to run again: what is there is kept.
set -eu
cd "$(dirname "$0")/.."
for system in rt redmine roundup mail; do
    "tools/itsm/$system.sh"
done
