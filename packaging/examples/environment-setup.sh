#!/usr/bin/env bash
# Called by whatever sets environments up and tears them down: gives the environment its worker and brings its
# functions to the release that its neighbours run.
#
#   environment-setup.sh up   ENVIRONMENT PROJECT VERSION
#   environment-setup.sh down ENVIRONMENT
#
# The functions themselves exist by now (octarm updates functions, your templates create them), and so does the
# environment on the server (`octarm environment create`). Needs OCTARM_SERVER and OCTARM_API_KEY_FILE.
set -euo pipefail

usage="usage: environment-setup.sh up ENVIRONMENT PROJECT VERSION | down ENVIRONMENT"
action=${1:?$usage}
environment=${2:?$usage}
state=${OCTARM_WORKER_STATE:-/var/lib/octarm/worker}

case $action in
up)
    project=${3:?$usage}
    version=${4:?$usage}
    # Registering again with the same state folder is the same worker: this may be run twice.
    octarm worker register --name "$(hostname)" --environment "$environment" --state "$state"
    chown -R octarm:octarm "$state"
    systemctl enable --now octarm-worker
    octarm release deploy --project "$project" --version "$version" --environment "$environment" --wait
    ;;
down)
    # Stopping waits for a deployment that is running, so that none is left half done.
    systemctl disable --now octarm-worker
    octarm worker deregister --state "$state"
    ;;
*)
    echo "$usage" >&2
    exit 2
    ;;
esac
