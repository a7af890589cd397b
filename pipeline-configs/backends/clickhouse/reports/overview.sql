-- Audit centre overview: All events of the cluster, and those that matter: people's operations, access from the internet, commands in containers, deletions, Secrets, CVEs.
-- Made from pipeline-configs/grafana/panels.toml by `cargo xtask configs --write`. An empty parameter is everything.
--
-- clickhouse-client --queries-file overview.sql --format PrettyCompact \
--   --param_from='2026-03-02 00:00:00' --param_to='2026-03-03 00:00:00' \
--   --param_namespace='' --param_user='' --param_resource='' --param_code=''

-- Events
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String});

-- Events of people
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND operator_type = 'user';

-- Events from public addresses
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND source_scope = 'public';

-- Commands in containers
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND hasAny(tags, ['exec', 'container-command']);

-- Events of high severity
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND severity IN ('high', 'critical');

-- Correlations that fired
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND notEmpty(alerts);

-- Events by severity
SELECT toStartOfHour(time) AS at, severity, count() AS events
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String})
GROUP BY at, severity ORDER BY at, severity;

-- Actions
SELECT action, count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) GROUP BY action ORDER BY events DESC, action;

-- People by operations
SELECT operator, count() AS events, countIf(action = 'create') AS creates, countIf(action = 'update') AS updates,
       countIf(action = 'delete') AS deletes, countIf(outcome = 'failure') AS failures, max(time) AS latest
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND operator_type = 'user'
GROUP BY operator ORDER BY events DESC, operator LIMIT 100;

-- Access from public addresses
SELECT source_ip, count() AS events, round(100 * countIf(outcome = 'success') / count(), 2) AS success_percent,
       countIf(code IN (401, 403)) AS refused, max(source_high_risk) AS high_risk
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND source_scope = 'public'
GROUP BY source_ip ORDER BY refused DESC, events DESC, source_ip LIMIT 100;

-- Commands executed in containers
SELECT time, operator, namespace, name AS pod, container, arrayStringConcat(command, ' ') AS command_line, source_ip, code
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND hasAny(tags, ['exec', 'container-command'])
ORDER BY time DESC, audit_id LIMIT 1000;

-- Resources deleted
SELECT time, operator, resource, namespace, name, source_ip, code
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND has(tags, 'resource-delete')
ORDER BY time DESC, audit_id LIMIT 1000;

-- Access to Secrets
SELECT operator, verb, namespace, count() AS events, uniqExact(name) AS secrets, countIf(outcome = 'failure') AS failures
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND resource = 'secrets'
GROUP BY operator, verb, namespace ORDER BY events DESC, operator, verb, namespace LIMIT 100;

-- What the rules found
SELECT tag, count() AS events, uniqExact(operator) AS operators, uniqExact(source_ip) AS addresses, max(time) AS latest
FROM (SELECT arrayJoin(tags) AS tag, operator, source_ip, time FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}))
WHERE NOT startsWith(tag, 'attack.')
GROUP BY tag ORDER BY events DESC, tag LIMIT 100;
