--- msgpack-RPC over a libuv pipe: one connection to a server.
---
--- Nothing here blocks the editor, and the peer can run no code in it: what comes is data. Knows
--- bytes, messages and deadlines; knows nothing of music or of how a server is started.
local uv = vim.uv or vim.loop

local M = {}

--- A message may have this many bytes. Decoded, a hostile one grows some 45 times.
M.MAX_MESSAGE_BYTES = 2 * 1024 * 1024

---@class lofi.ClientHandlers
---@field on_notification fun(method: string, params: table)
---@field on_close fun(err: lofi.Error, client: lofi.Client)

---@class lofi.Client
---@field private pipe userdata
---@field private session userdata
---@field private pending table<integer, { callback: lofi.Callback, timer: userdata?, method: string }>
---@field private last_id integer
---@field private unfinished_bytes integer bytes since the end of the last whole message
---@field private handlers lofi.ClientHandlers
---@field closed boolean
local Client = {}
Client.__index = Client

--- Turn the decoder's nil into Lua's, all the way down.
local function without_null(value)
  if value == vim.NIL then
    return nil
  elseif type(value) == "table" then
    for key, inner in pairs(value) do
      value[key] = without_null(inner)
    end
  end
  return value
end

--- Return the server's refusal as the plugin's own kind of error.
---@param refusal any `{code, message, data: {error_code, details}}` from a server that behaves
---@return lofi.Error
local function error_from(refusal)
  if type(refusal) ~= "table" or type(refusal.message) ~= "string" then
    return { name = "INTERNAL_ERROR", message = vim.inspect(refusal):gsub("%s+", " ") }
  end
  local data = type(refusal.data) == "table" and refusal.data or {}
  local message = refusal.message
  if type(data.details) == "string" and data.details ~= "" then
    message = message .. " - " .. data.details
  end
  return { name = data.error_code or "INTERNAL_ERROR", message = message, code = refusal.code }
end

--- Connect to the server at `path`.
---@param path string the socket
---@param handlers lofi.ClientHandlers called on the main loop
---@param callback fun(err: lofi.Error?, client: lofi.Client?)
function M.connect(path, handlers, callback)
  local pipe = uv.new_pipe(false)
  callback = vim.schedule_wrap(callback)
  local function fail(reason)
    pipe:close()
    local message = ("nobody listens on %s (%s)"):format(path, reason)
    callback({ name = "CONNECTION_FAILED", message = message })
  end
  local asked, failure = pcall(pipe.connect, pipe, path, function(err)
    if err then
      return fail(err)
    end
    local client = setmetatable({
      pipe = pipe,
      session = vim.mpack.Session({ unpack = vim.mpack.Unpacker() }),
      pending = {},
      last_id = 0,
      unfinished_bytes = 0,
      handlers = handlers,
      closed = false,
    }, Client)
    pipe:read_start(function(read_error, bytes)
      client:_read(read_error, bytes)
    end)
    callback(nil, client)
  end)
  if not asked then
    fail(failure)
  end
end

--- Ask for `method` and have `callback(err, result)` called exactly once, on the main loop.
---
--- It is called with an error when the server refuses, when `timeout_ms` pass without an answer,
--- and when the connection ends first.
---@param method string
---@param params table one map
---@param timeout_ms integer
---@param callback lofi.Callback
---@return integer id for `forget`
function Client:request(method, params, timeout_ms, callback)
  self.last_id = self.last_id + 1
  local id = self.last_id
  if self.closed then
    vim.schedule(function()
      callback({ name = "CONNECTION_CLOSED", message = "the connection to lofi-runtime is closed" })
    end)
    return id
  end
  local timer = uv.new_timer()
  self.pending[id] = { callback = callback, timer = timer, method = method }
  timer:start(timeout_ms, 0, function()
    local message = "lofi-runtime did not answer '%s' within %g s; see :LofiLog"
    self:_finish(id, { name = "TIMEOUT", message = message:format(method, timeout_ms / 1000) })
  end)
  -- The session hands the second value back with the answer; it may be anything, so it is our id.
  local frame = self.session:request(id) .. vim.mpack.encode(method) .. vim.mpack.encode({ params })
  self.pipe:write(frame, function(err)
    if err then
      self:close({ name = "CONNECTION_CLOSED", message = "lofi-runtime went away: " .. err })
    end
  end)
  return id
end

--- Drop a request: its callback will not be called, whatever comes.
---@param id integer
function Client:forget(id)
  self:_take(id)
end

--- End the connection; every open request fails with `err`. Does nothing the second time.
---@param err? lofi.Error
function Client:close(err)
  if self.closed then
    return
  end
  self.closed = true
  err = err or { name = "CONNECTION_CLOSED", message = "the connection to lofi-runtime was closed" }
  if not self.pipe:is_closing() then
    self.pipe:close()
  end
  local open = vim.tbl_keys(self.pending)
  table.sort(open)
  for _, id in ipairs(open) do
    self:_finish(id, err)
  end
  vim.schedule(function()
    self.handlers.on_close(err, self)
  end)
end

function Client:_take(id)
  local request = self.pending[id]
  self.pending[id] = nil
  if request and not request.timer:is_closing() then
    request.timer:close()
  end
  return request
end

function Client:_finish(id, err, result)
  local request = self:_take(id)
  if request then
    vim.schedule(function()
      request.callback(err, result)
    end)
  end
end

function Client:_read(read_error, bytes)
  if self.closed then
    return
  elseif read_error or not bytes then
    local message = ("lofi-runtime went away (%s); see :LofiLog"):format(read_error or "it ended")
    return self:close({ name = "CONNECTION_CLOSED", message = message })
  end
  while #bytes > 0 do
    -- Always from the first byte: with a start position, Neovim 0.7 reads memory behind the bytes.
    local read, kind, id, name, value, after = pcall(self.session.receive, self.session, bytes)
    if not read then
      return self:close({
        name = "BAD_FRAME",
        message = ("what listens on the socket does not speak lofi's protocol (%s)"):format(kind),
      })
    end
    if kind == nil then
      -- A message's beginning; the decoder keeps it until the rest comes.
      self.unfinished_bytes = self.unfinished_bytes + #bytes
      break
    end
    self.unfinished_bytes, bytes = 0, bytes:sub(after)
    self:_dispatch(kind, id, name, value)
  end
  if self.unfinished_bytes > M.MAX_MESSAGE_BYTES then
    local message = ("lofi-runtime sent a message of more than %d bytes"):format(M.MAX_MESSAGE_BYTES)
    self:close({ name = "BAD_FRAME", message = message })
  end
end

function Client:_dispatch(kind, id, name, value)
  if kind == "response" then
    local refusal = without_null(name)
    self:_finish(id, refusal ~= nil and error_from(refusal) or nil, without_null(value))
  elseif kind == "notification" then
    local params = type(value) == "table" and type(value[1]) == "table" and value[1] or {}
    vim.schedule(function()
      self.handlers.on_notification(tostring(name), without_null(params))
    end)
  else
    -- A server may ask nothing of an editor; an answer keeps it from waiting.
    local refusal = { code = -32601, message = "an editor has no methods" }
    self.pipe:write(self.session:reply(id) .. vim.mpack.encode(refusal) .. vim.mpack.encode(vim.NIL))
  end
end

return M
