#!/bin/sh
# Unpacks Chromium and its driver from Debian into the ignored folder .tools/browser, for the tests of the page:
#   root              both, and the libraries that the machine lacks
# Nothing is installed or started. Safe to run again: what is there is kept. Needs apt and dpkg.
set -eu
cd "$(dirname "$0")/.."
browser=$PWD/.tools/browser
root=$browser/root
[ -e "$browser/ready-1" ] && exit 0

mkdir -p "$browser/debs" "$root"
debs=$browser/debs
# shellcheck source=tools/apt.sh
. tools/apt.sh

# What the machine lacks of them. A screen, sound and a desktop are not needed to draw into memory.
fetch() {
    # shellcheck disable=SC2086
    lacking=$(apt-get $apt_places install --no-install-recommends --print-uris -y chromium chromium-driver |
        awk '/\.deb/ {print $2}' | sed 's/_.*//' | sort -u)
    echo "fetching Chromium: $(echo "$lacking" | wc -l) packages"
    # shellcheck disable=SC2086
    download $lacking
}
# Lists that are out of date name packages that are gone.
fetch || { [ -z "$lists_are_own" ] && own_lists && fetch; } || { cat "$debs/apt.log" >&2; exit 1; }
for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done
rm -rf "$debs"
touch "$browser/ready-1"
