#!/usr/bin/env bash
# A real Flink session cluster on this machine and Beam's job server beside it, from Maven's jars. Needs Java 17 and Maven.
#
#   cluster.sh start [DIR]        job manager, task manager (8 slots) and job server; waits until they answer
#   cluster.sh stop [DIR]         stop all three; checkpoints and savepoints stay in DIR
#   cluster.sh jm|tm|js [DIR]     start one of them, for instance a task manager after `kill`
#   cluster.sh kill NAME [DIR]    kill -9 of jm, tm or js, as a crash would
#   cluster.sh status [DIR]       what runs
#   cluster.sh fetch              only fetch the jars (156 MB), once, into build/flink-libs
#
# DIR is made where it is not there (default: build/flink). Dashboard and REST: http://127.0.0.1:18081
# Pipelines: --runner=PortableRunner --job_endpoint=localhost:18099 --artifact_endpoint=localhost:18098 --streaming
#   --checkpointing_interval=3000, and --environment_type=LOOPBACK, or EXTERNAL --environment_config=localhost:50000 with
#   `python -m apache_beam.runners.worker.worker_pool_main --service_port=50000` (its Python first on PATH)
# All ports are on loopback but those of the job server (18098, 18099), which Beam opens on every interface.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../../.." && pwd)/build
libs="$build/flink-libs"
declare -A ports=([jm]=18081 [tm]='' [js]=18099)

usage() { sed -n '2,15s/^# \{0,1\}//p' "$0"; }

fail() {
  echo "cluster.sh: $*" >&2
  exit 1
}

need() { command -v "$1" > /dev/null || fail "$1 is not installed. $2"; }

# Jars are fetched beside their place and moved there whole, so that an interrupted fetch leaves nothing that looks done.
fetch() {
  [ ! -d "$libs" ] || return 0
  need mvn "Install Maven (https://maven.apache.org/install.html)."
  echo "fetching Flink and Beam's job server, once; some minutes" >&2
  rm -rf "$libs.part"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs.part" >&2
  mv "$libs.part" "$libs"
}

running() { [ -f "$dir/$1.pid" ] && kill -0 "$(cat "$dir/$1.pid")" 2> /dev/null; }

answers() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

task_managers() { curl -sf http://127.0.0.1:18081/overview | grep -o '"taskmanagers":[0-9]*' | tr -dc 0-9; }

ready() { # NAME
  if [ "$1" = tm ]; then [ "$(task_managers)" -ge 1 ] 2> /dev/null; else answers "${ports[$1]}"; fi
}

# In a session of its own: Ctrl-C at the terminal is for the caller, not for the cluster.
launch() { # NAME HEAP CLASS ARGUMENTS...
  local name=$1 heap=$2 opens=() package
  shift 2
  for package in lang lang.reflect util util.concurrent util.concurrent.atomic util.concurrent.locks net io nio text time; do
    opens+=(--add-opens "java.base/java.$package=ALL-UNNAMED")
  done
  opens+=(--add-opens java.base/sun.nio.ch=ALL-UNNAMED --add-opens java.base/sun.net.util=ALL-UNNAMED)
  cd "$dir"
  setsid java "-Xmx$heap" "${opens[@]}" -cp "$libs/*" "$@" >> "$dir/$name.log" 2>&1 < /dev/null &
  echo $! > "$dir/$name.pid"
  for _ in $(seq 600); do
    running "$name" || fail "$name ended at once; the last lines of $dir/$name.log:
$(tail -n 5 "$dir/$name.log")"
    if ready "$name"; then
      echo "$name runs" >&2
      return
    fi
    sleep 0.2
  done
  fail "no answer of $name after two minutes; see $dir/$name.log"
}

start() { # NAME
  need java "Install Java 17 or later."
  need curl "Install curl."
  ! running "$1" || fail "$1 runs in $dir already (process $(cat "$dir/$1.pid"))"
  [ -z "${ports[$1]}" ] || ! answers "${ports[$1]}" || fail "port ${ports[$1]} is taken, maybe by another cluster"
  fetch
  mkdir -p "$dir/conf"
  sed "s|@DIR@|$dir|g" "$here/config.yaml.in" > "$dir/conf/config.yaml"
  case $1 in
    jm)
      launch jm 512m org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
        --configDir "$dir/conf" --executionMode cluster
      ;;
    tm) launch tm 768m org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$dir/conf" ;;
    js)
      launch js 512m org.apache.beam.runners.flink.FlinkJobServerDriver --flink-master 127.0.0.1:18081 \
        --artifacts-dir "$dir/artifacts" --job-port 18099 --artifact-port 18098 --expansion-port -1
      ;;
  esac
}

end() { # NAME SIGNAL
  local pid
  running "$1" || return 0
  pid=$(cat "$dir/$1.pid")
  kill "-$2" "$pid"
  for _ in $(seq 150); do
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.2
  done
  ! kill -0 "$pid" 2> /dev/null || fail "$1 (process $pid) still runs after 30 s"
  rm -f "$dir/$1.pid"
}

command=${1:-}
case $command in
  start | stop | jm | tm | js | status) dir=${2:-$build/flink} ;;
  kill)
    [[ ${2:-} =~ ^(jm|tm|js)$ ]] || fail "say which: kill jm, kill tm or kill js"
    dir=${3:-$build/flink}
    ;;
  fetch)
    fetch
    exit
    ;;
  -h | --help)
    usage
    exit
    ;;
  *)
    usage >&2
    exit 2
    ;;
esac
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
case $command in
  start) for name in jm tm js; do start "$name"; done ;;
  jm | tm | js) start "$command" ;;
  stop) for name in js tm jm; do end "$name" TERM; done ;;
  kill) end "$2" KILL ;;
  status)
    for name in jm tm js; do
      if running "$name"; then echo "$name runs, process $(cat "$dir/$name.pid")"; else echo "$name does not run"; fi
    done
    ;;
esac
