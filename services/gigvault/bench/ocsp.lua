-- Load of bench/ocsp.ts for wrk: one request a line of the file in the first argument, "GET <path>" or "POST <hex of the body>".
-- In a body, a run of 32 octets FF is a nonce's place: it gets random octets, so that no two requests are the same.

local requests = {}
local nonce = string.rep("\255", 32)

local function unhex(text)
  return (text:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

function init(arguments)
  math.randomseed(os.time())
  for line in io.lines(arguments[1]) do
    local method, what = line:match("^(%S+) (%S+)$")
    if method == "GET" then
      requests[#requests + 1] = { whole = wrk.format("GET", what) }
    else
      local body = unhex(what)
      local whole = wrk.format("POST", "/ocsp", { ["Content-Type"] = "application/ocsp-request" }, body)
      local at = whole:find(nonce, 1, true)
      requests[#requests + 1] = { head = whole:sub(1, at - 1), tail = whole:sub(at + #nonce) }
    end
  end
end

local turn = 0
local char, random = string.char, math.random
function request()
  turn = turn % #requests + 1
  local one = requests[turn]
  if one.whole then return one.whole end
  local octets = {}
  for i = 1, 32 do octets[i] = char(random(0, 255)) end
  return one.head .. table.concat(octets) .. one.tail
end

-- Microseconds, and the octets of all answers with their headers.
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'JSON {"requests":%d,"microseconds":%d,"octets":%d,"failed":%d,"p50":%d,"p99":%d}',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
