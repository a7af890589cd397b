-- plugin/policies/ack-default.yaml, as somebody would write it for Fluent Bit's Lua filter, and the client's address
-- out of sourceIPs. Returns -1 to drop a record, 2 to keep it with its time.

local known = {
  ["admissionregistration.k8s.io"] = true, ["apps"] = true, ["authentication.k8s.io"] = true,
  ["authorization.k8s.io"] = true, ["autoscaling"] = true, ["batch"] = true, ["certificates.k8s.io"] = true,
  ["extensions"] = true, ["networking.k8s.io"] = true, ["policy"] = true, ["rbac.authorization.k8s.io"] = true,
  ["settings.k8s.io"] = true, ["storage.k8s.io"] = true,
}

local elections = {
  ["system:kube-controller-manager"] = true, ["system:kube-scheduler"] = true,
  ["system:serviceaccount:kube-system:endpoint-controller"] = true,
}

local ranks = { Metadata = 1, Request = 2, RequestResponse = 3 }

local function has(list, wanted)
  for _, item in ipairs(list or {}) do
    if item == wanted then return true end
  end
  return false
end

local function level_of(event)
  local verb = event["verb"]
  local user = event["user"] or {}
  local name = user["username"]
  local object = event["objectRef"]
  if object == nil then
    local path = string.match(event["requestURI"] or "", "^[^?]*")
    if path == "/version" or string.sub(path, 1, 8) == "/healthz" or string.sub(path, 1, 8) == "/swagger" then
      return nil
    end
    return "Metadata"
  end
  local group = object["apiGroup"]
  local core = group == nil
  local resource = object["resource"]
  if object["subresource"] ~= nil then resource = nil end
  if core then
    if name == "system:kube-proxy" and verb == "watch" and (resource == "endpoints" or resource == "services") then return nil end
    if name == "system:unsecured" and verb == "get" and resource == "configmaps" and object["namespace"] == "kube-system" then return nil end
    if verb == "get" and resource == "nodes" and (name == "kubelet" or has(user["groups"], "system:nodes")) then return nil end
    if resource == "endpoints" and object["namespace"] == "kube-system" and (verb == "get" or verb == "update") and elections[name] then return nil end
    if name == "system:apiserver" and verb == "get" and resource == "namespaces" then return nil end
    if resource == "events" then return nil end
    if resource == "secrets" or resource == "configmaps" then return "Metadata" end
  elseif group == "authentication.k8s.io" and resource == "tokenreviews" then
    return "Metadata"
  end
  if core or known[group] then
    if verb == "get" or verb == "list" or verb == "watch" then return "Request" end
    return "RequestResponse"
  end
  return "Metadata"
end

function filter(tag, timestamp, event)
  if event["stage"] == "RequestReceived" then return -1, 0, 0 end
  local level = level_of(event)
  if level == nil then return -1, 0, 0 end
  -- What was not written cannot be kept.
  local own = ranks[event["level"]]
  if own ~= nil and own < ranks[level] then level = event["level"] end
  if level == "Metadata" then event["requestObject"] = nil end
  if level ~= "RequestResponse" then event["responseObject"] = nil end
  event["level"] = level
  local addresses = event["sourceIPs"]
  if addresses ~= nil then event["source_ip"] = addresses[#addresses] end
  return 2, timestamp, event
end
