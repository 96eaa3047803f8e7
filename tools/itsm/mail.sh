#!/bin/sh
# aiosmtpd in .tools/itsm/mail, a mail server that delivers into a Maildir, from the Python package index.
# Nothing is started. Safe to run again: what is there is kept. Needs python3 with venv.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p .tools
mail=$(realpath .tools)/itsm/mail
[ -e "$mail/ready-1" ] && exit 0

rm -rf "$mail"
mkdir -p "$mail"
echo "fetching aiosmtpd"
python3 -m venv "$mail/venv"
"$mail/venv/bin/pip" install --quiet --disable-pip-version-check aiosmtpd==1.4.6
touch "$mail/ready-1"
