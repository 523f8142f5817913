--- The server this editor talks to: connects to the one that runs, or starts one, without blocking.
---
--- One server is shared by all editors of a user. Nothing is ever killed: a server ends by itself.
local uv = vim.uv or vim.loop

local M = {}

--- The protocol this plugin speaks (`schemas/rpc.v1`).
M.PROTOCOL_VERSION = 1

local POLL_MS = 50

---@type lofi.Client?
local client
---@type table? what the connected server can do
local capabilities
---@type { callbacks: lofi.Callback[], start: boolean }? who waits for a connection being made
local waiting

--- Settle all that wait for a connection.
local function settle(err)
  local callbacks = waiting.callbacks
  waiting = nil
  for _, callback in ipairs(callbacks) do
    callback(err, client)
  end
end

local handlers = {
  on_notification = function(method, params)
    require("lofi.generation").on_notification(method, params)
  end,
  on_close = function(err, closed)
    if client == closed then
      client, capabilities = nil, nil
      require("lofi.generation").connection_closed(err)
    end
  end,
}

--- Ask a fresh connection who is there; it counts only when both speak the same protocol.
---@param fresh lofi.Client
---@param on_gone fun(err: lofi.Error) it was a server at its end: there is none now
local function greet(fresh, on_gone)
  local timeout_ms = require("lofi.config").get().request_timeout_ms
  fresh:request("capabilities", {}, timeout_ms, function(err, answer)
    if not err and (type(answer) ~= "table" or answer.protocol_version ~= M.PROTOCOL_VERSION) then
      local theirs = type(answer) == "table" and answer.protocol_version or nil
      err = {
        name = "PROTOCOL_MISMATCH",
        message = ("lofi-runtime speaks protocol %s, this plugin %d - update both: "
          .. "`pip install --upgrade lofi-recipe` and your plugin manager"):format(
          tostring(theirs), M.PROTOCOL_VERSION
        ),
      }
    end
    if err and err.name == "CONNECTION_CLOSED" then
      return on_gone(err)
    elseif err then
      fresh:close(err)
      return settle(err)
    end
    client, capabilities = fresh, answer
    settle(nil)
  end)
end

--- Try the socket once.
---@param callback fun(err: lofi.Error?, fresh: lofi.Client?)
local function try(callback)
  local path = require("lofi.config").get().socket
  local found = uv.fs_stat(path)
  if found and found.uid == uv.getuid() then
    return require("lofi.client").connect(path, handlers, callback)
  end
  local err = { name = "CONNECTION_FAILED", message = "nobody listens on " .. path }
  if found then
    err = { name = "RUNTIME_FAILED", message = ("the socket %s belongs to another user"):format(path) }
  end
  vim.schedule(function()
    callback(err)
  end)
end

--- Start a server and try its socket until it answers, it ends, or the time is up.
local function start_and_wait()
  local ended
  require("lofi.progress").say("starting the runtime")
  local err = require("lofi.server_process").start(function(how)
    ended = how
  end)
  if err then
    return settle(err)
  end
  local settings = require("lofi.config").get()
  local give_up_at = uv.now() + settings.start_timeout_ms
  local attempt
  function attempt()
    -- Read before trying: when another editor's server won the race, ours ends and theirs answers.
    local how = ended
    local function again(refusal)
      if how then
        return settle(how)
      elseif uv.now() > give_up_at then
        local message = "lofi-runtime was started but did not listen on %s within %g s (%s); see :LofiLog"
        message = message:format(settings.socket, settings.start_timeout_ms / 1000, refusal.message)
        return settle({ name = "RUNTIME_FAILED", message = message })
      end
      vim.defer_fn(attempt, POLL_MS)
    end
    try(function(refusal, fresh)
      if fresh then
        return greet(fresh, again)
      end
      again(refusal)
    end)
  end
  attempt()
end

--- Call back with a connection, made now if there is none.
---@param options { start: boolean } whether to start a server when none runs
---@param callback fun(err: lofi.Error?, client: lofi.Client?)
function M.connect(options, callback)
  if client and not client.closed then
    return callback(nil, client)
  elseif waiting then
    waiting.start = waiting.start or options.start
    return table.insert(waiting.callbacks, callback)
  end
  waiting = { callbacks = { callback }, start = options.start }
  local function without_server(err)
    if err.name == "RUNTIME_FAILED" or not waiting.start then
      return settle(err)
    end
    start_and_wait()
  end
  try(function(err, fresh)
    if fresh then
      return greet(fresh, without_server)
    end
    without_server(err)
  end)
end

--- Ask the server for `method`, starting a server when none runs.
---@param method string
---@param params table
---@param callback lofi.Callback called exactly once, on the main loop
function M.request(method, params, callback)
  M.connect({ start = true }, function(err, connected)
    if err then
      return callback(err)
    end
    connected:request(method, params, require("lofi.config").get().request_timeout_ms, callback)
  end)
end

--- Ask the server to end, if one runs.
---@param callback lofi.Callback
function M.shutdown(callback)
  M.connect({ start = false }, function(err, connected)
    if err then
      return callback(err)
    end
    local timeout_ms = require("lofi.config").get().request_timeout_ms
    connected:request("shutdown", {}, timeout_ms, function(refusal, answer)
      if not refusal then
        -- Whoever asks next must not ask a server that is about to end.
        connected:close({ name = "CONNECTION_CLOSED", message = "lofi-runtime was shut down" })
      end
      callback(refusal, answer)
    end)
  end)
end

--- Return what the connected server can do and within which limits; nil when there is none.
---@return table?
function M.capabilities()
  return capabilities
end

--- Return how things stand.
---@return "stopped"|"starting"|"connected"
function M.state()
  return client and "connected" or waiting and "starting" or "stopped"
end

return M
