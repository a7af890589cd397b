-- ClickHouse: the table for audit events, one row for each. Works from ClickHouse 24.8 on; run it with
--   clickhouse-client --multiquery <schema.sql
--
-- A collector inserts the record alone; every other column is taken from it here. What has no column stays in `record`.

CREATE DATABASE IF NOT EXISTS audit;

CREATE TABLE IF NOT EXISTS audit.events
(
    record            String CODEC(ZSTD(3)),

    -- The event's own time; where a record has none, when it came.
    time              DateTime64(6, 'UTC') DEFAULT coalesce(
                          parseDateTime64BestEffortOrNull(JSONExtractString(record, 'stageTimestamp'), 6, 'UTC'),
                          parseDateTime64BestEffortOrNull(JSONExtractString(record, 'time'), 6, 'UTC'),
                          now64(6, 'UTC')) CODEC(Delta, ZSTD(1)),
    log_type          LowCardinality(String) DEFAULT JSONExtractString(record, 'log_type'),

    audit_id          String DEFAULT JSONExtractString(record, 'auditID') CODEC(ZSTD(1)),
    stage             LowCardinality(String) DEFAULT JSONExtractString(record, 'stage'),
    verb              LowCardinality(String) DEFAULT JSONExtractString(record, 'verb'),
    request_uri       String DEFAULT JSONExtractString(record, 'requestURI') CODEC(ZSTD(1)),
    user_agent        LowCardinality(String) DEFAULT JSONExtractString(record, 'userAgent'),
    username          LowCardinality(String) DEFAULT JSONExtractString(record, 'user', 'username'),
    groups            Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'user', 'groups', 'Array(String)'),
    api_group         LowCardinality(String) DEFAULT JSONExtractString(record, 'objectRef', 'apiGroup'),
    resource          LowCardinality(String) DEFAULT JSONExtractString(record, 'objectRef', 'resource'),
    subresource       LowCardinality(String) DEFAULT JSONExtractString(record, 'objectRef', 'subresource'),
    -- Container auditing names pods in members of its own.
    namespace         LowCardinality(String) DEFAULT coalesce(
                          nullIf(JSONExtractString(record, 'objectRef', 'namespace'), ''),
                          nullIf(JSONExtractString(record, 'k8s.pod.namespace'), ''),
                          nullIf(JSONExtractString(record, 'process_exec', 'process', 'pod', 'namespace'), ''),
                          JSONExtractString(record, 'output_fields', 'k8s.ns.name')),
    name              String DEFAULT coalesce(
                          nullIf(JSONExtractString(record, 'objectRef', 'name'), ''),
                          nullIf(JSONExtractString(record, 'k8s.pod.name'), ''),
                          nullIf(JSONExtractString(record, 'process_exec', 'process', 'pod', 'name'), ''),
                          JSONExtractString(record, 'output_fields', 'k8s.pod.name')) CODEC(ZSTD(1)),
    -- 0 where the event has none.
    code              UInt16 DEFAULT JSONExtractUInt(record, 'responseStatus', 'code'),

    -- The filter's findings: members of the `audit` object, under their own names.
    level             LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'level'),
    operator          LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'operator'),
    operator_source   LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'operator_source'),
    operator_type     LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'operator_type'),
    source_ip         String DEFAULT JSONExtractString(record, 'audit', 'source_ip') CODEC(ZSTD(1)),
    source_scope      LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'source_scope'),
    source_high_risk  Bool DEFAULT JSONExtractBool(record, 'audit', 'source_high_risk'),
    resource_class    LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'resource_class'),
    action            LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'action'),
    outcome           LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'outcome'),
    container         LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'exec', 'container'),
    command           Array(String) DEFAULT JSONExtract(record, 'audit', 'exec', 'command', 'Array(String)') CODEC(ZSTD(1)),
    severity          LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'severity'),
    rules             Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'audit', 'rules', 'Array(String)'),
    tags              Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'audit', 'tags', 'Array(String)'),
    -- The ids of the correlations that fired on this event; `record` has the rest of them.
    alerts            Array(LowCardinality(String)) DEFAULT arrayMap(
                          alert -> JSONExtractString(alert, 'rule'), JSONExtractArrayRaw(record, 'audit', 'alerts')),
    message           String DEFAULT JSONExtractString(record, 'audit', 'message') CODEC(ZSTD(1)),
    route             LowCardinality(String) DEFAULT JSONExtractString(record, 'audit', 'route'),
    error             String DEFAULT JSONExtractString(record, 'audit', 'error') CODEC(ZSTD(1)),

    -- What is sent twice is the same to the byte: it is kept once, from the next merge on.
    id                UInt64 DEFAULT cityHash64(record),

    INDEX by_name      name TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_audit_id  audit_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_operator  operator TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_source_ip source_ip TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_tag       tags TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_severity  severity TYPE set(8) GRANULARITY 4,
    INDEX by_code      code TYPE set(64) GRANULARITY 4
)
ENGINE = ReplacingMergeTree
-- A day of one kind is a partition, so that days go as whole partitions when their time is over.
PARTITION BY (log_type, toDate(time))
ORDER BY (toStartOfHour(time), namespace, resource, time, id)
TTL toDateTime(time) + toIntervalDay(if(log_type = 'container-audit', 180, 30))
SETTINGS ttl_only_drop_parts = 1;

-- For collectors that cannot name the one column which they insert: what goes in here goes into `audit.events`.
CREATE TABLE IF NOT EXISTS audit.ingest (record String) ENGINE = Null;
CREATE MATERIALIZED VIEW IF NOT EXISTS audit.ingest_to_events TO audit.events AS SELECT record FROM audit.ingest;
