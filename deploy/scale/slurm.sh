#!/usr/bin/env bash
# Analyse an archive on a SLURM cluster: sbatch deploy/scale/slurm.sh /archive /results /certificates
# The folders lie on a file system that all nodes mount under the same path. A job that was stopped
# goes on if it is submitted again. Research use only, not a medical device.
#SBATCH --job-name=mammolens
#SBATCH --ntasks=64
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=3G
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@60
set -euo pipefail

archive="$1" results="$2" certificates="$3"
tls=(--tls-ca-file "$certificates/ca.pem" --tls-cert "$certificates/cert.pem" --tls-key "$certificates/key.pem")
export DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES='[]' DASK_DISTRIBUTED__WORKER__HTTP__ROUTES='[]' # no open pages
address="tls://$(hostname -f):8786"

dask scheduler --host "tls://0.0.0.0" --port 8786 --no-dashboard "${tls[@]}" &
scheduler=$!
trap 'kill "$scheduler" 2>/dev/null || true' EXIT

srun --ntasks="$((SLURM_NTASKS - 1))" dask worker "$address" --nworkers 1 --nthreads 1 \
    --local-directory "${TMPDIR:-/tmp}" --no-dashboard "${tls[@]}" &

mammolens analyze "$archive" --out "$results" --cluster "$address" --tls "$certificates"
