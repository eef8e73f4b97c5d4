#!/usr/bin/env bash
# A real Apache Kafka broker on this machine (one node, loopback only), from Maven's jars. Needs Java 17 and Maven.
#
#   kafka.sh start [DIR] [PORT]   start it, wait until it answers, print HOST:PORT for --bootstrap
#   kafka.sh stop [DIR]           stop it in order; its data stays in DIR
#   kafka.sh kill [DIR]           kill -9, as a crash would; `start` finds its data again
#   kafka.sh status [DIR]         running or not
#   kafka.sh fetch                only fetch the jars (43 MB), once, into build/kafka-VERSION
#
# DIR is made where it is not there (default: build/kafka). PORT is 19092 by default; PORT + 1 is taken too.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../../.." && pwd)/build
version=$(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' "$here/pom.xml")
libs="$build/kafka-$version"

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0"; }

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

need() { command -v "$1" > /dev/null || fail "$1 is not installed. $2"; }

# Jars are fetched beside their place and moved there whole, so that an interrupted fetch leaves nothing that looks done.
fetch() {
  [ ! -d "$libs" ] || return 0
  need mvn "Install Maven (https://maven.apache.org/install.html)."
  echo "fetching Kafka $version, once; about a minute" >&2
  rm -rf "$libs.part"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs.part" >&2
  mv "$libs.part" "$libs"
}

running() { [ -f "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2> /dev/null; }

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

# In a session of its own: Ctrl-C at the terminal is for the caller, not for the broker.
launch() {
  setsid java -Xmx512m -Xms128m -XX:+UseSerialGC "${java_options[@]}" kafka.Kafka "$dir/server.properties" \
    >> "$dir/server.log" 2>&1 < /dev/null &
  echo $! > "$dir/pid"
}

start() {
  [[ $port =~ ^[0-9]+$ ]] || fail "$port is no port"
  need java "Install Java 17 or later."
  ! running || fail "a broker runs in $dir already (process $(cat "$dir/pid"))"
  for taken in "$port" $((port + 1)); do
    ! answers "$taken" || fail "port $taken is taken: give another one, $0 start $dir PORT"
  done
  fetch
  java_options=(-cp "$libs/*" "-Dlog4j2.configurationFile=$here/log4j2.properties" -Djava.net.preferIPv4Stack=true
    "-Djava.io.tmpdir=$dir")
  sed -e "s|@PORT@|$port|g" -e "s|@CONTROLLER@|$((port + 1))|g" -e "s|@DATA@|$dir/data|g" \
    "$here/server.properties.in" > "$dir/server.properties"
  if [ ! -f "$dir/data/meta.properties" ]; then
    id=$(head -c16 /dev/urandom | base64 | tr '+/' '-_' | tr -d =)
    java -XX:TieredStopAtLevel=1 "${java_options[@]}" kafka.tools.StorageTool format -t "$id" \
      -c "$dir/server.properties" > "$dir/format.log" 2>&1 || fail "could not make its storage; see $dir/format.log"
  fi
  launch
  for _ in $(seq 600); do
    running || fail "it ended at once; the last lines of $dir/server.log:
$(tail -n 5 "$dir/server.log")"
    if answers "$port"; then
      echo "127.0.0.1:$port"
      return
    fi
    sleep 0.2
  done
  fail "no answer on port $port after two minutes; see $dir/server.log"
}

end() { # SIGNAL
  running || fail "no broker runs in $dir"
  pid=$(cat "$dir/pid")
  kill "-$1" "$pid"
  for _ in $(seq 300); do
    if ! kill -0 "$pid" 2> /dev/null; then
      rm -f "$dir/pid"
      return
    fi
    sleep 0.2
  done
  fail "process $pid still runs after a minute; see $dir/server.log"
}

command=${1:-}
case $command in
  start | stop | kill | status)
    dir=${2:-$build/kafka}
    port=${3:-19092}
    [ "$command" = start ] || [ -d "$dir" ] || fail "there is no folder $dir"
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    ;;
esac
case $command in
  start) start ;;
  stop) end TERM ;;
  kill) end KILL ;;
  status) if running; then echo "running, process $(cat "$dir/pid")"; else echo "not running"; exit 1; fi ;;
  fetch) fetch ;;
  -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
