#!/usr/bin/env bash
# Creates the topics: 30 days of the API server's events, 180 of the containers'.
#
#   ./topics.sh kafka.example.com:9093 client.properties [PARTITIONS]
#
# client.properties holds what Kafka's own tools need to log in. More partitions later move addresses to other
# partitions, and with them the windows of correlations: start with as many as there will ever be aggregators.
set -euo pipefail
brokers=${1:?the brokers}
properties=${2:?the properties file of the client}
partitions=${3:-12}

topic() { # name, days
  kafka-topics.sh --bootstrap-server "$brokers" --command-config "$properties" --create --if-not-exists \
    --topic "$1" --partitions "$partitions" --replication-factor 3 \
    --config retention.ms=$(($2 * 24 * 60 * 60 * 1000)) \
    --config min.insync.replicas=2 \
    --config max.message.bytes=16777216
}

topic kube-audit 30
topic container-audit 180
