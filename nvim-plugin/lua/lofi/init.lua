--- Lofi music, generated while you write code: the functions for your own configuration.
---
--- Nothing is loaded until a function is called. Callbacks are `(err, result)` and come on the main
--- loop; no function waits for the server. See `:help lofi-lua`.
local M = {}

--- Change settings. Optional: without it the defaults hold.
---
--- Raises an error naming every key that is unknown or holds a wrong value. Called again, it
--- replaces the settings, and says which of them wait for a restart of the server.
---@param options? lofi.Config
function M.setup(options)
  local notices, restarts = require("lofi.config").set(options)
  -- Not loaded means not connected; asking must not load it.
  local runtime = package.loaded["lofi.runtime"]
  if #restarts > 0 and runtime and runtime.state() ~= "stopped" then
    table.insert(notices, table.concat(restarts, ", ") .. " will apply after require('lofi').shutdown()")
  end
  for _, notice in ipairs(notices) do
    vim.notify("lofi: " .. notice, vim.log.levels.WARN)
  end
end

--- Generate a track, without waiting for it.
---@param options string|lofi.GenerateOptions a prompt, or a prompt with more
---@param callback? lofi.Callback called once: with the finished `lofi.Track`, or with why not
---@return integer id what `cancel` takes
function M.generate(options, callback)
  if type(options) == "string" then
    options = { prompt = options }
  end
  if type(options) ~= "table" or type(options.prompt) ~= "string" then
    error("lofi.generate: give a prompt, or a table with a 'prompt'", 2)
  end
  return require("lofi.generation").start(options, callback)
end

--- Stop a track that this editor asked for.
---@param which? integer|string what `generate` returned, a track id, or "all"; nil: the current one
---@param callback? lofi.Callback with `{cancelled, was_generating}`
function M.cancel(which, callback)
  require("lofi.generation").cancel(which, callback)
end

--- Return what this editor is waiting for.
---@return { runtime: "stopped"|"starting"|"connected", jobs: lofi.Job[], last_track: lofi.Track? }
function M.status()
  local state = require("lofi.state")
  return { runtime = require("lofi.runtime").state(), jobs = state.snapshot(), last_track = state.last_track }
end

--- Return whether a track of this editor is queued or being made.
---@return boolean
function M.is_generating()
  return require("lofi.state").current() ~= nil
end

--- Return a few signs for a status line, such as "◌ 45%"; nil when idle.
---@return string?
function M.statusline()
  return require("lofi.state").statusline()
end

--- Ask what can generate here.
---@param callback lofi.Callback with `{backends, default_backend}`
function M.get_backends(callback)
  require("lofi.runtime").request("get_backends", {}, callback)
end

--- Ask what is being generated and what waits, for every editor.
---@param callback lofi.Callback with `{current, pending, prefetch_pending}`
function M.queue(callback)
  require("lofi.runtime").request("queue_status", {}, callback)
end

--- Have `handler(data)` called whenever `event` happens. See `:help lofi-events`.
---@param event string such as "generation_complete"
---@param handler fun(data: table)
---@return fun() unsubscribe
function M.on(event, handler)
  return require("lofi.events").on(event, handler)
end

--- Ask the server to end, for every editor; the next request starts a new one.
---@param callback? lofi.Callback with `{status}`; an error when none runs
function M.shutdown(callback)
  require("lofi.runtime").shutdown(callback or function() end)
end

return M
