-- For wrk: each request creates another sandbox on the nested server LOAD_NESTED, and waits a little before it.
local made = 0
refused = 0 -- global: `done` reads it of each thread
local pause = 16 -- milliseconds

local spec = [[{"name":"load-%d","provider":"static","dialect":"generic","runtime":{"url":"%s/s/load-%d",]] ..
  [["session_key":{"$literal":"load-key"}},"configuration":{"settings":{"llm_model":"x"}}}]]
local headers = {
  ["Authorization"] = "Bearer " .. os.getenv("LOAD_TOKEN"),
  ["Content-Type"] = "application/json",
}

function delay()
  return pause
end

function request()
  made = made + 1
  return wrk.format("POST", nil, headers, spec:format(made, os.getenv("LOAD_NESTED"), made))
end

function response(status)
  if status ~= 202 then
    refused = refused + 1
  end
end

local threads = {}
function setup(thread)
  table.insert(threads, thread)
end

function done(summary)
  print(("created %d in %.2f"):format(summary.requests, summary.duration / 1000000))
  local total = 0
  for _, thread in ipairs(threads) do
    total = total + thread:get("refused")
  end
  print(("refused %d"):format(total))
end
