--- The server's executable and its process: finding it, starting it, reading what it complained of.
local uv = vim.uv or vim.loop

local M = {}

local MAX_LOG_BYTES = 1024 * 1024

--- Return the file that takes what servers write on stderr.
---@return string
function M.log_path()
  local folder = vim.fn.stdpath(vim.fn.has("nvim-0.8") == 1 and "log" or "cache")
  return folder .. "/lofi-runtime.log"
end

--- Return the server's executable as an absolute path.
---@return lofi.Error?
---@return string?
function M.find()
  local wanted = vim.fn.expand(require("lofi.config").get().runtime_path)
  local found = vim.fn.exepath(wanted)
  if found ~= "" then
    return nil, found
  end
  local where = wanted:find("/") and "is not there or is not executable" or "is not on the PATH"
  return {
    name = "RUNTIME_MISSING",
    message = ("'%s' %s - run `pip install lofi-recipe`, or set runtime_path"):format(wanted, where),
  }
end

--- Open the log for appending; one that has grown large is put aside first.
local function open_log()
  local path = M.log_path()
  vim.fn.mkdir(vim.fn.fnamemodify(path, ":h"), "p")
  local found = uv.fs_stat(path)
  if found and found.size > MAX_LOG_BYTES then
    os.rename(path, path .. ".old")
    found = nil
  end
  return uv.fs_open(path, "a", 384), found and found.size or 0 -- 384 is 0600
end

--- Return the last line that was written to the log after `offset`.
local function last_line_after(offset)
  local file = io.open(M.log_path(), "r")
  if not file then
    return nil
  end
  file:seek("set", offset)
  local last
  for line in file:lines() do
    last = line:match("%S") and line or last
  end
  file:close()
  return last
end

--- Return the server's arguments.
---@return string[]
local function arguments()
  local settings = require("lofi.config").get()
  local args = { "serve", "--idle-exit", tostring(settings.idle_exit_sec), "--socket", settings.socket }
  if settings.threads then
    vim.list_extend(args, { "--threads", tostring(settings.threads) })
  end
  if settings.model.source then
    vim.list_extend(args, { "--bundle", settings.model.source })
  end
  return args
end

--- Start a server that outlives this editor. It ends by itself when nobody is connected.
---@param on_exit fun(err: lofi.Error) on the main loop, when it ends
---@return lofi.Error?
function M.start(on_exit)
  local err, executable = M.find()
  if err then
    return err
  end
  local log, offset = open_log()
  local handle, reason
  handle, reason = uv.spawn(executable, {
    args = arguments(),
    stdio = { nil, log, log },
    detached = true,
    cwd = "/", -- a server that stays must not keep the editor's folder busy
  }, function(code, signal)
    handle:close()
    vim.schedule(function()
      local how = signal ~= 0 and ("signal " .. signal) or ("exit code " .. code)
      local line = last_line_after(offset) or "it left no message"
      on_exit({ name = "RUNTIME_FAILED", message = ("lofi-runtime ended (%s): %s"):format(how, line) })
    end)
  end)
  if log then
    uv.fs_close(log)
  end
  if not handle then
    return { name = "RUNTIME_FAILED", message = ("%s cannot be started: %s"):format(executable, reason) }
  end
  -- The editor may leave while the server runs on.
  handle:unref()
end

return M
