-- CVE risks: Events that show an attempt at a known vulnerability of Kubernetes, or a configuration that it needs.
-- Made from pipeline-configs/grafana/panels.toml by `cargo xtask configs --write`. An empty parameter is everything.
--
-- clickhouse-client --queries-file cve.sql --format PrettyCompact \
--   --param_from='2026-03-02 00:00:00' --param_to='2026-03-03 00:00:00' \
--   --param_namespace='' --param_user='' --param_resource='' --param_code=''

-- Traces of CVEs
SELECT count() AS events FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND has(tags, 'cve');

-- Traces over time
SELECT toStartOfHour(time) AS at, severity, count() AS events
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND has(tags, 'cve')
GROUP BY at, severity ORDER BY at, severity;

-- By CVE
SELECT upper(replaceOne(tag, 'cve.', 'CVE-')) AS cve, count() AS events, uniqExact(operator) AS operators,
       countIf(outcome = 'success') AS successes, max(time) AS latest
FROM (SELECT arrayJoin(tags) AS tag, operator, outcome, time FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}))
WHERE startsWith(tag, 'cve.')
GROUP BY cve ORDER BY events DESC, cve;

-- Events
SELECT time, arrayStringConcat(arrayFilter(tag -> startsWith(tag, 'cve.'), tags), ' ') AS cves, severity, operator,
       namespace, name, source_ip, code, message
FROM audit.events WHERE time >= {from:DateTime('UTC')} AND time < {to:DateTime('UTC')}
  AND ({namespace:String} = '' OR namespace = {namespace:String})
  AND ({user:String} = '' OR operator = {user:String})
  AND ({resource:String} = '' OR resource = {resource:String})
  AND ({code:String} = '' OR toString(code) = {code:String}) AND has(tags, 'cve')
ORDER BY time DESC, audit_id LIMIT 1000;
