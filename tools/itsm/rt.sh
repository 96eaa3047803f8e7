#!/bin/sh
# Request Tracker 5 in .tools/itsm/rt:
#   root      itself and the Perl modules it needs, from Debian, unpacked with dpkg -x
#   seed      its database with two tenants' queues, the bridge's fields and users, made by rt-seed.pl
#   tokens    the token of each user, `name token` a line
# Nothing is installed or started. Safe to run again: what is there is kept. Needs apt, dpkg, perl.
set -eu
cd "$(dirname "$0")/../.."
rt=$(realpath .tools)/itsm/rt
root=$rt/root
[ -e "$rt/ready-1" ] && exit 0

mkdir -p "$rt/debs" "$root"
debs=$rt/debs
# shellcheck source=tools/apt.sh
. tools/apt.sh

# Fonts, drawings and a mail server are not needed to answer requests.
unpack "$root" '^(fonts-|perl-doc|exim4|graphviz|libgd|libgvc|libcgraph|dbconfig-)' \
    request-tracker5 rt5-db-sqlite rt5-standalone

# Where it lies is written into its scripts and into RT::Generated.
places='(usr/share|usr/local/share|etc|var/lib|var/cache|var/log)/request-tracker5'
grep -rlE "/$places" "$root/usr/sbin" "$root/usr/bin" "$root/usr/share/request-tracker5" "$root/etc" |
    xargs sed -i -E "s#(^|[^A-Za-z0-9_./-])/$places#\1$root/\2/request-tracker5#g"
sed -i "s#'/usr/bin'#'$root/usr/bin'#; s#'/usr/sbin'#'$root/usr/sbin'#" "$root/usr/share/request-tracker5/lib/RT/Generated.pm"
for folder in usr/local/share/request-tracker5/lib usr/local/share/request-tracker5/html \
    usr/local/share/request-tracker5/plugins var/lib/request-tracker5/data \
    var/cache/request-tracker5/mason_data/obj var/cache/request-tracker5/session_data var/log/request-tracker5; do
    mkdir -p "$root/$folder"
done
# It wants the system's log and time zone.
rm -f "$root/etc/request-tracker5/RT_SiteConfig.d/60-logging.pm" "$root/etc/request-tracker5/RT_SiteConfig.d/40-timezone.pm"

# The database that each test has a copy of.
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
perl=$(perl -e 'printf "%vd", $^V' | cut -d. -f1,2)
cat >"$rt/env" <<END
PERL5LIB=$root/etc/perl:$root/usr/share/perl5:$root/usr/lib/$multiarch/perl5/$perl:$root/usr/lib/$multiarch/perl-base
LD_LIBRARY_PATH=$root/usr/lib/$multiarch
END
mkdir -p "$rt/seed"
cat >"$rt/seed/RT_SiteConfig.pm" <<END
Set(\$rtname, 'test.local'); Set(\$Organization, 'test.local'); Set(\$Timezone, 'UTC');
Set(\$DatabaseType, 'SQLite'); Set(\$DatabaseName, '$rt/seed/rt.sqlite');
Set(\$LogToSyslog, undef); Set(\$LogToSTDERR, 'warning'); Set(\$LogToFile, undef); Set(\$MailCommand, 'testfile');
1;
END
echo "seeding Request Tracker"
(
    set -a
    # shellcheck disable=SC1091
    . "$rt/env"
    RT_SITE_CONFIG=$rt/seed/RT_SiteConfig.pm
    set +a
    setup=$root/usr/sbin/rt-setup-database-5
    rm -f "$rt/seed/rt.sqlite"
    printf 'a-root-of-no-value' >"$rt/seed/root"
    perl "$setup" --action init --dba '' --dba-password '' --root-password-file="$rt/seed/root" &&
        perl "$setup" --action insert --datafile tools/itsm/rt-seed.pl --dba '' --dba-password '' &&
        perl "-I$root/usr/share/request-tracker5/lib" tools/itsm/rt-token.pl bellwether ana boris >"$rt/tokens"
) >"$rt/log" 2>&1 || { cat "$rt/log" >&2; exit 1; }
touch "$rt/ready-1"
