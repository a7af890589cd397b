-- Resource operation overview: Creates, updates, deletes and other access by class of resource: compute, network, storage, access control.
-- Made from pipeline-configs/grafana/panels.toml by `cargo xtask configs --write`. An empty parameter is everything.
--
-- clickhouse-client --queries-file resources.sql --format PrettyCompact \
--   --param_from='2026-03-02 00:00:00' --param_to='2026-03-03 00:00:00' \
--   --param_namespace='' --param_user='' --param_resource='' --param_code=''

-- Operations by class
SELECT resource_class, countIf(action = 'create') AS creates, countIf(action = 'update') AS updates,
       countIf(action = 'delete') AS deletes, countIf(action = 'access') AS accesses, countIf(outcome = 'failure') AS failures
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String})
GROUP BY resource_class ORDER BY resource_class;

-- Changes by class
SELECT toStartOfHour(time) AS at, resource_class, count() AS events
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND action IN ('create', 'update', 'delete')
GROUP BY at, resource_class ORDER BY at, resource_class;

-- Operations by resource
SELECT resource_class, resource, countIf(action = 'create') AS creates, countIf(action = 'update') AS updates,
       countIf(action = 'delete') AS deletes, countIf(action = 'access') AS accesses, countIf(outcome = 'failure') AS failures
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND resource != ''
GROUP BY resource_class, resource ORDER BY resource_class, resource;

-- Namespaces
SELECT namespace, count() AS events, countIf(action IN ('create', 'update', 'delete')) AS changes, uniqExact(operator) AS operators
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND namespace != ''
GROUP BY namespace ORDER BY events DESC, namespace LIMIT 100;

-- Who changes what
SELECT operator, resource, action, count() AS events
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND action IN ('create', 'update', 'delete') AND operator_type = 'user'
GROUP BY operator, resource, action ORDER BY events DESC, operator, resource, action LIMIT 100;
