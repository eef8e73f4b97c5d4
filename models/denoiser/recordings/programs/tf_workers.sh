#!/bin/bash
# tf_workers.sh FAULT: two workers of MultiWorkerMirroredStrategy on this machine; the second does not come, or is killed.
fault=$1
cluster='"cluster": {"worker": ["127.0.0.1:29821", "127.0.0.1:29822"]}'
export TF_CPP_MAX_VLOG_LEVEL=0 GRPC_VERBOSITY=ERROR
TF_CONFIG="{$cluster, \"task\": {\"type\": \"worker\", \"index\": 0}}" timeout --verbose -k 3 40 python -u tf_workers.py 2>&1 | sed -u 's/^/[worker:0] /' &
first=$!
if [ "$fault" != absent ]; then
  TF_CONFIG="{$cluster, \"task\": {\"type\": \"worker\", \"index\": 1}}" timeout --verbose -k 3 40 python -u tf_workers.py "$fault" 2>&1 | sed -u 's/^/[worker:1] /' &
fi
set -o pipefail
wait $first
code=$?
[ "$fault" = none ] || [ $code != 0 ] || code=1
echo "tf_workers: chief ended with code $code"
exit $code
