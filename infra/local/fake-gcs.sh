#!/usr/bin/env bash
# A stand-in for Cloud Storage on this machine, for tests and for a try without a cloud.
#
#   fake-gcs.sh install          build it once, with Go, into build/bin; prints where it is
#   fake-gcs.sh start [PORT]     run it in the foreground, objects in memory (default port: 4443)
#
# Then: export STORAGE_EMULATOR_HOST=http://127.0.0.1:PORT
set -euo pipefail

VERSION=v1.56.1
bin=$(cd "$(dirname "$0")/../.." && pwd)/build/bin

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }

install() {
  if [ ! -x "$bin/fake-gcs-server" ]; then
    if ! command -v go > /dev/null; then
      echo "fake-gcs-server needs Go to be built. Install Go (https://go.dev/doc/install), then: $0 install" >&2
      exit 1
    fi
    echo "building fake-gcs-server $VERSION, once; some minutes" >&2
    mkdir -p "$bin"
    GOBIN="$bin" go install "github.com/fsouza/fake-gcs-server@$VERSION" >&2
  fi
}

case ${1:-} in
  install)
    install
    echo "$bin/fake-gcs-server"
    ;;
  start)
    port=${2:-4443}
    install
    exec "$bin/fake-gcs-server" -scheme http -host 127.0.0.1 -port "$port" -public-host "127.0.0.1:$port" \
      -external-url "http://127.0.0.1:$port" -backend memory -log-level warn
    ;;
  -h | --help)
    usage
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
