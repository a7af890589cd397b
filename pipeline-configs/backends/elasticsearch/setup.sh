#!/usr/bin/env bash
# Prepares Elasticsearch or OpenSearch for the audit events: retention, mappings, two data streams' templates.
# Run it once, and again after a change: it replaces what it made before.
#
#   ES_USER=… ES_PASSWORD=… ./setup.sh https://elasticsearch.example.com:9200
#   ES_USER=… ES_PASSWORD=… ./setup.sh https://opensearch.example.com:9200 opensearch
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
endpoint=${1:?the address of the server}
server=${2:-elasticsearch}

put() { # path, body
  # The password goes in through a file descriptor: a command line is for everybody to read.
  curl --silent --show-error --fail-with-body --config <(printf 'user = "%s:%s"\n' "$ES_USER" "$ES_PASSWORD") \
    -X PUT "$endpoint/$1" -H 'Content-Type: application/json' -d "$2"
  echo
}

template() { # log, days
  local pattern="logs-k8s.$1-*" policy="audit-$2-days" settings
  if [ "$server" = opensearch ]; then
    # The policy finds its indices itself. One that is there already is replaced under its own sequence number only,
    # so that a change is made by deleting it first.
    put "_plugins/_ism/policies/$policy" '{"policy": {"description": "Audit events", "default_state": "hot", "states": [
      {"name": "hot", "actions": [{"rollover": {"min_index_age": "1d", "min_primary_shard_size": "50gb"}}],
       "transitions": [{"state_name": "delete", "conditions": {"min_rollover_age": "'"$2"'d"}}]},
      {"name": "delete", "actions": [{"delete": {}}], "transitions": []}],
      "ism_template": [{"index_patterns": ["'"$pattern"'"], "priority": 500}]}}'
    settings='{}'
  else
    put "_ilm/policy/$policy" '{"policy": {"phases": {
      "hot": {"actions": {"rollover": {"max_age": "1d", "max_primary_shard_size": "50gb"}}},
      "delete": {"min_age": "'"$2"'d", "actions": {"delete": {}}}}}}'
    settings='{"index.lifecycle.name": "'"$policy"'"}'
  fi
  # More than the 100 of the template for logs-*-* that Elasticsearch brings.
  put "_index_template/k8s-$1" '{"index_patterns": ["'"$pattern"'"], "data_stream": {}, "priority": 500,
    "composed_of": ["k8s-audit"], "template": {"settings": '"$settings"'}}'
}

put _component_template/k8s-audit "$(cat mappings.json)"
template kube_audit 30
template container_audit 180
