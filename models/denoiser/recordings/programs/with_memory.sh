#!/bin/bash
# with_memory.sh MIB COMMAND...: runs it in a memory control group (version 1 or 2) of that size, where the kernel ends what is over.
limit=$(($1 * 1024 * 1024)); shift
if [ -d /sys/fs/cgroup/memory ]; then group=/sys/fs/cgroup/memory/job-$$ file=memory.limit_in_bytes; else group=/sys/fs/cgroup/job-$$ file=memory.max; fi
mkdir "$group" && echo "$limit" > "$group/$file" || exit 125
bash -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$group" "$@"
code=$?
for _ in 1 2 3 4 5; do rmdir "$group" 2> /dev/null && break; sleep 0.3; done
[ $code = 137 ] && echo "$(date +%FT%T) container exited: OOMKilled=${OOM_WORD:-true} exitCode=137"
exit $code
