#!/bin/sh
# Redmine 5 in .tools/itsm/redmine:
#   root      itself, Ruby and the gems it needs, from Debian, unpacked with dpkg -x
#   seed      its database with two tenants' projects, the bridge's fields and users, made by redmine-seed.rb
#   keys      the key of each user, `name key` a line
# Nothing is installed or started. Safe to run again: what is there is kept. Needs apt, dpkg.
set -eu
cd "$(dirname "$0")/../.."
redmine=$(realpath .tools)/itsm/redmine
root=$redmine/root
[ -e "$redmine/ready-1" ] && exit 0

debs=$redmine/debs
# shellcheck source=tools/apt.sh
. tools/apt.sh
unpack "$root" '^(fonts-|dbconfig-|libjs-)' redmine redmine-sqlite

# Where it lies is written into its Gemfile and into links; the database is that of `REDMINE_DATABASE`.
app=$root/usr/share/redmine
rm -rf "$app/Gemfile.lock" "$app/instances" "$app/config/database.yml"
sed -i "s#/usr/share/redmine#$app#" "$app/Gemfile"
echo "gem 'webrick'" >"$app/Gemfile.local"
mkdir -p "$app/instances/default/config" "$app/instances/default/tmp" "$app/instances/default/log" "$app/instances/default/files"
cat >"$app/instances/default/config/database.yml" <<'END'
production:
  adapter: sqlite3
  database: <%= ENV['REDMINE_DATABASE'] %>
  timeout: 10000
END
cp "$app/instances/default/config/database.yml" "$app/config/database.yml"
echo "config.logger = Logger.new(STDERR, level: Logger::WARN)" >"$app/config/additional_environment.rb"
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
ruby=$(basename "$root"/usr/lib/ruby/3.*)
cat >"$redmine/env" <<END
RUBYLIB=$root/usr/lib/ruby/vendor_ruby:$root/usr/lib/$multiarch/ruby/vendor_ruby/$ruby:$root/usr/lib/$multiarch/ruby/$ruby:$root/usr/lib/ruby/$ruby
GEM_PATH=$root/usr/lib/ruby/gems/$ruby:$root/usr/share/rubygems-integration/all:$root/usr/share/rubygems-integration/$ruby:$root/usr/lib/$multiarch/rubygems-integration/$ruby
LD_LIBRARY_PATH=$root/usr/lib/$multiarch
RAILS_ENV=production
SECRET_KEY_BASE=of_no_value_on_loopback
BUNDLE_GEMFILE=$app/Gemfile
RUBYOPT=-W0
END
mkdir -p "$redmine/seed"
echo "seeding Redmine"
(
    set -a
    # shellcheck disable=SC1091
    . "$redmine/env"
    REDMINE_DATABASE=$redmine/seed/redmine.sqlite3 REDMINE_LANG=en
    set +a
    seed=$PWD/tools/itsm/redmine-seed.rb
    rm -f "$REDMINE_DATABASE"*
    cd "$app"
    ruby=$root/usr/bin/ruby
    bundle() { "$ruby" "$root/usr/bin/bundle" "$@"; }
    # What a migration has added is seen by the next process.
    bundle install --local && bundle exec "$ruby" "$root/usr/bin/rake" db:migrate &&
        bundle exec "$ruby" "$root/usr/bin/rake" redmine:load_default_data &&
        bundle exec "$ruby" bin/rails runner "$seed" >"$redmine/keys"
) >"$redmine/log" 2>&1 || { cat "$redmine/log" >&2; exit 1; }
touch "$redmine/ready-1"
