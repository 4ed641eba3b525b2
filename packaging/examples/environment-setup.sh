#!/usr/bin/env bash
# Called by whatever sets environments up and tears them down: gives the environment its worker and brings its
# functions to the release that its neighbours run.
#
#   environment-setup.sh up   ENVIRONMENT [PROJECT VERSION] [--json]
#   environment-setup.sh down ENVIRONMENT [--json]
#
# Each may be run again: what is done already is left as it is. Without PROJECT and VERSION a new worker begins with what
# is current in its environment. Answers go to standard output, with --json a document for each step; what is
# waited for goes to standard error. The exit code is 0, or that of the step that failed, as `octarm --help` lists
# them: 3 the deployment failed, 6 the server refused, 7 a deployment did not end in time, 69 no server.
#
# The functions themselves exist by now (octarm updates functions, your templates create them), and so does the
# environment on the server (`octarm environment create`).
#
#   OCTARM_SERVER                    the server
#   OCTARM_REGISTRATION_TOKEN_FILE   a registration token for this environment: of
#                                    `octarm registration-token create --environment ENVIRONMENT --token-file FILE`;
#                                    else /etc/octarm/registration-token, where there is one
#   OCTARM_API_KEY_FILE              an API key; to register where there is no token, and to deploy PROJECT
#   OCTARM_WORKER_STATE              the worker's folder; else /var/lib/octarm/worker
#   OCTARM_NAME                      the worker's name; else the name of this host
set -euo pipefail

usage="usage: environment-setup.sh up ENVIRONMENT [PROJECT VERSION] [--json] | down ENVIRONMENT [--json]"

json=()
words=()
for word in "$@"; do
    if [[ $word == --json ]]; then json=(--json); else words+=("$word"); fi
done
refuse() {
    echo "$usage" >&2
    exit 2
}
[[ ${#words[@]} -ge 2 ]] || refuse
action=${words[0]}
environment=${words[1]}
state=${OCTARM_WORKER_STATE:-/var/lib/octarm/worker}

case $action in
up)
    [[ ${#words[@]} -eq 2 || ${#words[@]} -eq 4 ]] || refuse
    register=(--name "${OCTARM_NAME:-$(hostname)}" --environment "$environment" --state "$state")
    token=${OCTARM_REGISTRATION_TOKEN_FILE:-/etc/octarm/registration-token}
    if [[ -e $token ]]; then register+=(--registration-token-file "$token"); fi
    if [[ ${#words[@]} -eq 2 ]]; then register+=(--deploy-current); fi
    # Registering again with the same state folder is the same worker, and uses no token up.
    octarm worker register "${register[@]}" "${json[@]}"
    chown -R octarm:octarm "$state"
    systemctl enable --now octarm-worker
    if [[ ${#words[@]} -eq 4 ]]; then
        octarm release deploy --project "${words[2]}" --version "${words[3]}" --environment "$environment" --wait \
            "${json[@]}"
    fi
    ;;
down)
    [[ ${#words[@]} -eq 2 ]] || refuse
    # The worker gets nothing new, ends what it runs, and its process ends by itself. Needs no key but the worker's own.
    octarm worker deregister --state "$state" --wait 1800 "${json[@]}"
    systemctl disable --now octarm-worker
    ;;
*)
    refuse
    ;;
esac
