-- The load of benchmarks/serve.py: nine requests for recommendations to one event. Arguments: users, items, path of a bare endpoint or "".
local users, items, bare = 1, 1, ""
local place = 0

function init(args)
  users, items, bare = tonumber(args[1]), tonumber(args[2]), args[3] or ""
  math.randomseed(tonumber(args[4] or "1"))
end

function request()
  if bare ~= "" then
    return wrk.format("GET", bare)
  end
  place = place + 1
  local user = string.format("u%05d", math.random(0, users - 1))
  if place % 10 == 0 then
    local body = string.format(
      '{"user_id":"%s","item_id":"v%07d","kind":"watch","watch_ms":9000}', user, math.random(0, items - 1))
    return wrk.format("POST", "/v1/events", {["Content-Type"] = "application/json"}, body)
  end
  return wrk.format("GET", "/v1/users/" .. user .. "/recommendations?n=10")
end

function done(summary, latency)
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.4f, "p50_ms": %.4f, "p90_ms": %.4f, "p99_ms": %.4f, "most_ms": %.4f, "errors": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
