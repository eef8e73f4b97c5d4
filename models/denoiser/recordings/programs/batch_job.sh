#!/bin/bash
# batch_job.sh LIMIT_S COMMAND...: a batch script as sites write them: modules, environment, a step with a time limit, an epilogue.
limit=$1; shift
job=$((480000 + RANDOM % 9000))
echo "==========================================="
echo "SLURM_JOB_ID=$job  SLURM_JOB_NAME=train  SLURM_NNODES=1  SLURM_NTASKS=2"
echo "Job started at $(date) on node-1, partition=cpu, account=ml"
echo "==========================================="
echo "Loading gcc/12.3.0"; echo "  Loading requirement: zlib/1.2.13 binutils/2.40"
env | grep -E '^(PATH|OMP_|LANG|VIRTUAL_ENV)' | sort
ulimit -a | head -8
"$@" & child=$!
( sleep "$limit"; kill -0 $child 2> /dev/null && echo "slurmstepd: error: *** STEP $job.0 ON node-1 CANCELLED AT $(date +%FT%T) DUE TO TIME LIMIT ***" && kill -TERM $child; sleep 3; kill -KILL $child 2> /dev/null ) & watch=$!
wait $child; code=$?
pkill -P $watch; kill $watch 2> /dev/null
if [ $code -gt 128 ]; then echo "srun: error: node-1: task 0: $(kill -l $((code - 128)) | sed 's/KILL/Killed/;s/TERM/Terminated/;s/SEGV/Segmentation fault (core dumped)/')"; fi
[ $code = 0 ] || echo "srun: Terminating StepId=$job.0"
echo "Job ended at $(date), exit code $code"
echo "                JobID      Elapsed      State ExitCode"
state=COMPLETED; [ $code = 0 ] || state=FAILED; [ $code = 143 ] && state=TIMEOUT
printf '%21s %12s %10s %8s\n' "$job" "00:00:$(printf %02d $((SECONDS % 60)))" $state "$code:0"
exit $code
