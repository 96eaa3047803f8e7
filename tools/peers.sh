#!/bin/sh
# Fetches the real programs the wire tests talk to, into the ignored folder .tools:
#   .tools/peers   Debian packages, unpacked with dpkg -x (nothing is installed or started)
#   .tools/newer   the same from Debian's unstable suite: Prometheus 3, which speaks remote write 2
#   .tools/py      a Python virtual environment with the OpenTelemetry SDK, fluent-logger and
#                  PagerDuty's client
#   .tools/github-examples  the webhooks that GitHub's client library is tested with, where npm is there
# Safe to run again: what is there is kept. Needs apt, dpkg and python3 with venv.
set -eu
cd "$(dirname "$0")/.."
peers=.tools/peers
debs=.tools/debs
mkdir -p "$peers" "$debs"

# shellcheck source=tools/apt.sh
. tools/apt.sh

# package -> a file that proves it is unpacked
fetch() {
    package=$1
    proof=$2
    if [ -e "$peers/$proof" ]; then
        return 0
    fi
    echo "fetching $package"
    download "$package" || { [ -z "$lists_are_own" ] && own_lists && download "$package"; } ||
        { cat "$debs/apt.log" >&2; exit 1; }
    dpkg -x "$debs/${package}"_*.deb "$peers"
    if [ ! -e "$peers/$proof" ]; then
        echo "package $package does not contain $proof" >&2
        exit 1
    fi
}

lib=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
fetch prometheus usr/bin/prometheus
fetch prometheus-alertmanager usr/bin/amtool
fetch victoria-metrics usr/bin/vmagent
fetch prometheus-node-exporter usr/bin/prometheus-node-exporter
fetch rsyslog usr/sbin/rsyslogd
fetch rsyslog-elasticsearch "$lib/rsyslog/omelasticsearch.so"
fetch libestr0 "$lib/libestr.so.0"
fetch libfastjson4 "$lib/libfastjson.so.4"
fetch liblognorm5 "$lib/liblognorm.so.5"
fetch libcurl4 "$lib/libcurl.so.4"
fetch collectd-core usr/sbin/collectd
fetch libyajl2 "$lib/libyajl.so.2"
fetch libcurl3-gnutls "$lib/libcurl-gnutls.so.4"
fetch libltdl7 "$lib/libltdl.so.7"
fetch snmp usr/bin/snmptrap
fetch libsnmp40 "$lib/libnetsnmp.so.40"
fetch libsnmp-base usr/share/snmp
fetch nagios4-core usr/sbin/nagios4
fetch icinga2-bin "$lib/icinga2/sbin/icinga2"
fetch icinga2-common usr/share/icinga2/include/itl
for part in coroutine context thread filesystem iostreams program_options regex; do
    fetch "libboost-$(echo $part | tr _ -)1.74.0" "$lib/libboost_$part.so.1.74.0"
done
fetch libedit2 "$lib/libedit.so.2"
fetch libbsd0 "$lib/libbsd.so.0"
fetch libmd0 "$lib/libmd.so.0"
fetch libicu72 "$lib/libicuuc.so.72"
fetch rsyslog-gnutls "$lib/rsyslog/lmnsd_gtls.so"
fetch logrotate usr/sbin/logrotate
fetch libpopt0 "$lib/libpopt.so.0"
fetch mandoc usr/bin/mandoc

# Programs of Go run on an older Debian. The mirror is the machine's own, only the suite is another.
newer=.tools/newer
if [ ! -e "$newer/usr/bin/prometheus" ]; then
    apt="$PWD/.tools/apt-unstable"
    mkdir -p "$newer" "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs"
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(RELEASE)' 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 !~ /security/ {print $1; exit}')
    # Not fetched yet: the place is known, the origin is not.
    # shellcheck disable=SC2016
    [ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$keys] $mirror sid main" >"$apt/sources.list"
    unstable="-o Dir::Etc::SourceList=$apt/sources.list -o Dir::Etc::SourceParts=/dev/null"
    unstable="$unstable -o Dir::State::Lists=$apt/lists -o Dir::Cache=$apt/cache"
    echo "fetching prometheus from the unstable suite"
    # shellcheck disable=SC2086
    (cd "$apt/debs" && rm -f prometheus_*.deb && apt-get $unstable -qq update && apt-get $unstable -qq download prometheus) \
        >"$apt/log" 2>&1 || { cat "$apt/log" >&2; exit 1; }
    dpkg -x "$apt"/debs/prometheus_*.deb "$newer"
    rm -rf "$apt"
fi

if [ ! -e .tools/py/wires-ready-2 ]; then
    echo "fetching the Python clients"
    [ -e .tools/py/bin/python ] || python3 -m venv .tools/py
    .tools/py/bin/pip install -q \
        opentelemetry-sdk==1.45.2 \
        opentelemetry-exporter-otlp-proto-http==1.45.2 \
        opentelemetry-exporter-otlp-proto-grpc==1.45.2 \
        fluent-logger==0.11.1 \
        pagerduty==7.2.0
    touch .tools/py/wires-ready-2
fi

if [ ! -e .tools/github-examples/package.json ]; then
    if command -v npm >/dev/null 2>&1; then
        echo "fetching GitHub's examples"
        (cd .tools && npm pack --silent @octokit/webhooks-examples@7.6.1 >/dev/null &&
            tar -xzf octokit-webhooks-examples-7.6.1.tgz && mv package github-examples &&
            rm octokit-webhooks-examples-7.6.1.tgz)
    else
        echo "npm is not installed: the test of GitHub's webhooks will skip" >&2
    fi
fi
