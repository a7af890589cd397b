-- Audit search: The queries of every day: what a user did, what happened to a resource, and everything without the cluster's own components.
-- Made from pipeline-configs/grafana/panels.toml by `cargo xtask configs --write`. An empty parameter is everything.
--
-- clickhouse-client --queries-file search.sql --format PrettyCompact \
--   --param_from='2026-03-02 00:00:00' --param_to='2026-03-03 00:00:00' \
--   --param_namespace='' --param_user='' --param_resource='' --param_code=''

-- Events, system components excluded
SELECT time, operator, verb, resource, subresource, namespace, name, source_ip, code, severity, message, audit_id
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND operator_type IN ('user', 'anonymous')
ORDER BY time DESC, audit_id LIMIT 1000;

-- RAM users
SELECT operator, count() AS events, countIf(action IN ('create', 'update', 'delete')) AS changes,
       countIf(outcome = 'failure') AS failures, uniqExact(source_ip) AS addresses, max(time) AS latest
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND has(tags, 'ram-user')
GROUP BY operator ORDER BY events DESC, operator LIMIT 100;

-- Every event
SELECT time, operator, verb, resource, subresource, namespace, name, source_ip, code, severity, message, audit_id
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String})
ORDER BY time DESC, audit_id LIMIT 1000;
