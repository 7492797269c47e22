#!/bin/sh
# Make the image the docker-marked tests use where no registry is reachable: Debian with its PostgreSQL, and an
# entrypoint that honours POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB as the official image does.
#
#   apt-get install docker.io containerd runc iptables debootstrap    (Debian, as root; then start dockerd)
#   tests/server/make_image.sh crossfade/postgres:15
#   CROSSFADE_POSTGRES_IMAGE=crossfade/postgres:15 TESTCONTAINERS_RYUK_DISABLED=true pytest -m docker
#
# Needs root, some 500 MB below TMPDIR for the time it runs, and about two minutes.
set -eu

image=${1:-crossfade/postgres:15}
suite=${2:-bookworm}
version=${3:-15}
mirror=${4:-http://deb.debian.org/debian}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

debootstrap --variant=minbase --include="postgresql-$version,postgresql-contrib,locales" "$suite" "$root" "$mirror"
rm -rf "$root"/var/cache/apt/archives "$root"/var/lib/apt/lists "$root"/var/lib/postgresql/*

cat >"$root/entrypoint" <<'ENTRYPOINT'
#!/bin/sh
# Initialize a cluster as the environment says, then become its server; arguments go to postgres.
set -eu
user=${POSTGRES_USER:-postgres}
export PGDATA=/var/lib/postgresql/data
install -d -o postgres -m 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    install -o postgres -m 600 /dev/null /tmp/password
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    setpriv --reuid=postgres --regid=postgres --init-groups \
        initdb --username="$user" --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
    rm /tmp/password
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    if [ "${POSTGRES_DB:-$user}" != postgres ]; then
        echo "CREATE DATABASE \"${POSTGRES_DB:-$user}\"" |
            setpriv --reuid=postgres --regid=postgres --init-groups postgres --single -j postgres
    fi
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -c listen_addresses='*' "$@"
ENTRYPOINT
chmod 755 "$root/entrypoint"

tar -C "$root" -c . | docker import \
    --change "ENV PATH=/usr/lib/postgresql/$version/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
    --change 'ENTRYPOINT ["/entrypoint"]' \
    --change 'EXPOSE 5432' \
    - "$image"
