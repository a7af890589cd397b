-- Resource operation details: Every operation on one type of resource: choose it above.
-- Made from pipeline-configs/grafana/panels.toml by `cargo xtask configs --write`. An empty parameter is everything.
--
-- clickhouse-client --queries-file resource-details.sql --format PrettyCompact \
--   --param_from='2026-03-02 00:00:00' --param_to='2026-03-03 00:00:00' \
--   --param_namespace='' --param_user='' --param_resource='' --param_code=''

-- Operations
SELECT toStartOfHour(time) AS at, action, count() AS events
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String})
GROUP BY at, action ORDER BY at, action;

-- Status codes
SELECT toString(code) AS status, count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) GROUP BY status ORDER BY events DESC, status;

-- Operators
SELECT operator, count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) GROUP BY operator ORDER BY events DESC, operator LIMIT 20;

-- Addresses
SELECT source_ip, count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) GROUP BY source_ip ORDER BY events DESC, source_ip LIMIT 20;

-- Changes
SELECT time, operator, verb, resource, subresource, namespace, name, source_ip, code, severity, message, audit_id
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND action IN ('create', 'update', 'delete')
ORDER BY time DESC, audit_id LIMIT 1000;

-- Access
SELECT time, operator, verb, resource, subresource, namespace, name, source_ip, code, severity, message, audit_id
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND action = 'access'
ORDER BY time DESC, audit_id LIMIT 1000;
