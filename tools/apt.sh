# What the scripts here share that unpack Debian packages into .tools; read with `.` at the clone's root.
# Sets `apt` (a folder of our own) and `apt_options`, and gives `own_lists` and `download`.

# Which packages there are is asked as if nothing were installed: of a package that the machine has in
# another version than its lists, apt would download neither.
apt="$PWD/.tools/apt"
mkdir -p "$apt"
: >"$apt/status"
apt_options="-o Dir::State::status=$apt/status"
apt_places=

# Package lists of our own, in the ignored folder: for a machine whose lists are empty or out of date.
own_lists() {
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    apt_places="-o Dir::State::Lists=$apt/lists -o Dir::Cache=$apt/cache"
    apt_options="$apt_options $apt_places"
    echo "fetching package lists"
    # shellcheck disable=SC2086
    apt-get $apt_options -qq update
    lists_are_own=yes
}
lists_are_own=
# shellcheck disable=SC2086
apt-get $apt_options download --print-uris prometheus >/dev/null 2>&1 || own_lists

# Downloads packages into the folder `debs`. apt warns that it cannot drop its rights for our folder; its
# errors are shown all the same.
download() {
    # shellcheck disable=SC2086
    (cd "$debs" && for one; do rm -f "${one}"_*.deb; done && apt-get $apt_options -q download "$@" >/dev/null 2>apt.log)
}

# Unpacks into the folder $1 the packages named from $3 on and what the machine lacks for them, but those whose
# names match $2. Lists that are out of date name packages that are gone: then ours are asked.
unpack() {
    into=$1 but=$2
    shift 2
    mkdir -p "$debs" "$into"
    lacking() {
        # shellcheck disable=SC2086
        apt-get $apt_places install --no-install-recommends --print-uris -y "$@" |
            awk '/\.deb/ {print $2}' | sed 's/_.*//' | sort -u | grep -vE "$but"
    }
    fetch() {
        wanted=$(lacking "$@")
        echo "fetching $1: $(echo "$wanted" | wc -l) packages"
        # shellcheck disable=SC2086
        download $wanted
    }
    fetch "$@" || { [ -z "$lists_are_own" ] && own_lists && fetch "$@"; } || { cat "$debs/apt.log" >&2; return 1; }
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$into"; done
    rm -rf "$debs"
}
