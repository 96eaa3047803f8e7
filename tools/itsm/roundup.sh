#!/bin/sh
# Roundup 2.6 in .tools/itsm/roundup:
#   venv      itself, from the Python package index
#   seed      a tracker of its template `classic` with the fields of `examples/roundup`, the bridge's user and two people
#   words     the password of each user, `name password` a line
# Nothing is started. Safe to run again: what is there is kept. Needs python3 with venv.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p .tools
roundup=$(realpath .tools)/itsm/roundup
[ -e "$roundup/ready-1" ] && exit 0

rm -rf "$roundup"
mkdir -p "$roundup"
echo "fetching Roundup"
python3 -m venv "$roundup/venv"
"$roundup/venv/bin/pip" install --quiet --disable-pip-version-check roundup==2.6.0
seed=$roundup/seed
echo "seeding Roundup"
trap '[ -e "$roundup/ready-1" ] || cat "$roundup/log" >&2' EXIT
{
    "$roundup/venv/bin/roundup-admin" -i "$seed" install classic sqlite
    # The fields go where the class of issues is declared.
    sed -i "s/^                assignedto=Link(\"user\"),/&\n                bw_incident=String(),\n                bw_cause=String(),\n                bw_impact=String(),\n                bw_team=String(),/" "$seed/schema.py"
    sed -i 's/^web = .*/web = http:\/\/127.0.0.1:8087\//; s/^#web = .*/web = http:\/\/127.0.0.1:8087\//
        s/^password_pbkdf2_default_rounds = .*/password_pbkdf2_default_rounds = 1000/
        s/^#domain = .*/domain = roundup.test/; s/^host = .*/host = 127.0.0.1/' "$seed/config.ini"
    # Nobody is written mail to.
    rm -f "$seed/detectors/nosyreaction.py" "$seed/detectors/userauditor.py"
    word() { python3 -c 'import secrets; print(secrets.token_hex(16))'; }
    "$roundup/venv/bin/roundup-admin" -i "$seed" initialise "$(word)"
    for name in bellwether ana boris; do
        word=$(word)
        "$roundup/venv/bin/roundup-admin" -i "$seed" create user "username=$name" "password=$word" \
            "address=$name@roundup.test" roles=User
        echo "$name $word" >>"$roundup/words"
    done
    for name in acme globex database; do
        "$roundup/venv/bin/roundup-admin" -i "$seed" create keyword "name=$name"
    done
} >"$roundup/log" 2>&1
# It runs as nobody.
chmod -R a+rX "$roundup"
touch "$roundup/ready-1"
