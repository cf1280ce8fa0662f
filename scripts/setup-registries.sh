#!/usr/bin/env bash
# Two registries for the tests beside that of the distribution project, which Debian has: other people's readings of the
# same specification. For root on Debian. Idempotent; prints what to export:
#   eval "$(scripts/setup-registries.sh [ferro|pulp])"      sets up and starts both, or one
#   scripts/setup-registries.sh stop                        ends what it has started
# - ferro-oci-server (crates.io), in Rust: strict about uploads; plain HTTP, no login. Built once, in half a minute.
# - pulp-container (PyPI) with a PostgreSQL of its own: tokens whose scopes count, every blob by a redirect to another
#   port. Installed once, in about a minute; 300 MB of disk, 900 MB of memory.
# They listen on 127.0.0.1 alone. All of it lives in PHT_REGISTRIES_HOME (default /var/cache/pht-registries), which the user
# postgres has to reach. PHT_REGISTRIES_PORT is the first of four ports.
set -euo pipefail

home="${PHT_REGISTRIES_HOME:-/var/cache/pht-registries}"
first="${PHT_REGISTRIES_PORT:-5602}"
ferro_port=$first pulp_port=$((first + 1)) content_port=$((first + 2)) database_port=$((first + 3))
ferro="$home/ferro" pulp="$home/pulp"
login=admin:journey

# The process of this name, if it still is one that was started here.
process() {
  local pid
  pid="$(cat "$home/run/$1.pid" 2>/dev/null)" || return 1
  [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF "$home" && echo "$pid"
}

# launch NAME COMMAND...: in the background, unless it runs.
launch() {
  local name=$1
  shift
  process "$name" >/dev/null && return
  # The lock is not to stay with it.
  nohup "$@" >"$home/run/$name.log" 2>&1 </dev/null 9>&- &
  echo $! >"$home/run/$name.pid"
}

# answers NAME PORT: waits until it takes connections.
answers() {
  local waited
  for waited in $(seq 600); do
    (: <"/dev/tcp/127.0.0.1/$2") 2>/dev/null && return
    process "$1" >/dev/null || [ "$waited" -lt 20 ] || break
    sleep 0.1
  done
  echo "$1 does not start:" && tail -n 20 "$home/run/$1.log" && return 1
}

# In the reverse order of their start; PostgreSQL takes SIGINT for "do not wait for clients".
stop() {
  local name pid waited
  for name in worker content api postgres ferro; do
    pid="$(process "$name")" || continue
    kill -INT "$pid"
    for waited in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then kill -KILL "$pid"; fi
    rm -f "$home/run/$name.pid"
  done
}

start_ferro() {
  # For these tests it need not be fast, and so it is built in half the time.
  [ -x "$ferro/bin/ferro-oci-server" ] ||
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --quiet --locked --root "$ferro" ferro-oci-server@1.0.0
  # It keeps manifests in memory, so blobs of an earlier run are of no use.
  process ferro >/dev/null || rm -rf "$ferro/storage"
  # Told nothing, it would listen on every address.
  launch ferro env "FERRO_OCI_LISTEN=127.0.0.1:$ferro_port" "FERRO_OCI_STORAGE_DIR=$ferro/storage" \
    "$ferro/bin/ferro-oci-server"
  answers ferro "$ferro_port"
}

# The programs of the newest PostgreSQL that is installed.
postgres_bin() {
  local found
  found="$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)"
  [ -x "$found/postgres" ] && echo "$found"
}

# PostgreSQL refuses to run as root.
as_postgres() { (cd "$pulp/database" && exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"); }

start_database() {
  local bin
  if ! postgres_bin >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
  fi
  bin="$(postgres_bin)"
  mkdir -p "$pulp/database"
  chown postgres: "$pulp/database"
  [ -d "$pulp/database/data" ] ||
    as_postgres "$bin/initdb" -D "$pulp/database/data" -A trust -E UTF8 --no-sync >/dev/null
  launch postgres setpriv --reuid=postgres --regid=postgres --init-groups "$bin/postgres" -D "$pulp/database/data" \
    -c listen_addresses=127.0.0.1 -c "port=$database_port" -c "unix_socket_directories=$pulp/database" -c fsync=off
  answers postgres "$database_port"
  until "$bin/pg_isready" -q -h 127.0.0.1 -p "$database_port"; do sleep 0.1; done
  as_postgres "$bin/psql" -qAt -h 127.0.0.1 -p "$database_port" -U postgres >/dev/null <<'SQL'
select 'create role pulp login superuser' where not exists (select from pg_roles where rolname = 'pulp') \gexec
select 'create database pulp owner pulp' where not exists (select from pg_database where datname = 'pulp') \gexec
SQL
}

configure_pulp() {
  mkdir -p "$pulp"/{etc,media,tmp,assets,exports}
  [ -f "$pulp/etc/database.key" ] || openssl rand -base64 32 | tr '+/' '-_' >"$pulp/etc/database.key"
  [ -f "$pulp/etc/token.key" ] || openssl ecparam -genkey -name prime256v1 -noout -out "$pulp/etc/token.key"
  [ -f "$pulp/etc/token.pub" ] || openssl ec -in "$pulp/etc/token.key" -pubout -out "$pulp/etc/token.pub" 2>/dev/null
  cat >"$pulp/etc/settings.py" <<SETTINGS
SECRET_KEY = "tests on 127.0.0.1 keep no secret of this kind, so any text of this length will do"
ALLOWED_HOSTS = ["127.0.0.1"]
CONTENT_ORIGIN = "http://127.0.0.1:$content_port"
TOKEN_SERVER = "http://127.0.0.1:$pulp_port/token/"
TOKEN_SIGNATURE_ALGORITHM = "ES256"
PUBLIC_KEY_PATH = "$pulp/etc/token.pub"
PRIVATE_KEY_PATH = "$pulp/etc/token.key"
DB_ENCRYPTION_KEY = "$pulp/etc/database.key"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": $database_port,
        "NAME": "pulp",
        "USER": "pulp",
        "PASSWORD": "",
        "CONN_MAX_AGE": 0,
    }
}
DEPLOY_ROOT = "$pulp"
MEDIA_ROOT = "$pulp/media/"
STATIC_ROOT = "$pulp/assets/"
WORKING_DIRECTORY = FILE_UPLOAD_TEMP_DIR = "$pulp/tmp"
ALLOWED_EXPORT_PATHS = ["$pulp/exports"]
CACHE_ENABLED = ANALYTICS = TELEMETRY = False
SETTINGS
}

start_pulp() {
  local bin="$pulp/venv/bin"
  command -v openssl >/dev/null || { echo "setup-registries.sh needs openssl (scripts/test.sh installs it)"; return 1; }
  [ -x "$bin/python" ] || python3 -m venv "$pulp/venv"
  [ -x "$bin/pulpcore-api" ] || "$bin/python" -m pip -q install pulp-container==2.30.0 pulpcore==3.123.1
  configure_pulp
  start_database
  export PULP_SETTINGS="$pulp/etc/settings.py"
  if ! [ -f "$pulp/migrated" ]; then
    "$bin/pulpcore-manager" migrate --no-input >"$home/run/migrate.log" 2>&1 || { tail -n 20 "$home/run/migrate.log"; return 1; }
    "$bin/pulpcore-manager" reset-admin-password --password "${login#*:}" >/dev/null
    touch "$pulp/migrated"
  fi
  launch api "$bin/pulpcore-api" -b "127.0.0.1:$pulp_port" -w 3 -t 120
  launch content "$bin/pulpcore-content" -b "127.0.0.1:$content_port" -w 1 -t 120
  launch worker "$bin/pulpcore-worker"
  answers api "$pulp_port"
  answers content "$content_port"
}

which="${1:-both}"
case "$which" in
  both | ferro | pulp | stop) ;;
  *) echo "setup-registries.sh [ferro|pulp|stop]" >&2 && exit 2 ;;
esac
{
  mkdir -p "$home/run"
  # Two runs at a time must not both install or start.
  exec 9>"$home/setup.lock"
  flock 9
  case "$which" in
    stop) stop ;;
    ferro) start_ferro ;;
    pulp) start_pulp ;;
    both)
      start_ferro
      start_pulp
      ;;
  esac
} >&2
case "$which" in both | ferro) printf 'export PHT_FERRO=%q\n' "127.0.0.1:$ferro_port" ;; esac
case "$which" in both | pulp) printf 'export PHT_PULP=%q PHT_PULP_LOGIN=%q PHT_PULP_EXPORTS=%q\n' "127.0.0.1:$pulp_port" "$login" "$pulp/exports" ;; esac
