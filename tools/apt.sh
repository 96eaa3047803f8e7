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
