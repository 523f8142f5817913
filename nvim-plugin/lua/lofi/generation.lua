--- A track's life in this editor: asked for, queued, generating, and then exactly one of complete,
--- failed or cancelled.
local M = {}

--- Show why a track did not come, where nobody took a callback.
local function report(err)
  if err and err.name ~= "GENERATION_CANCELLED" then
    require("lofi.progress").report_error(err)
  end
end

--- End a track, once.
---@param job lofi.Job
---@param err? lofi.Error
---@param track? lofi.Track
local function finish(job, err, track)
  if require("lofi.state").remove(job) then
    -- On its own, so that a callback's error keeps no other track from ending.
    vim.schedule(function()
      (job.callback or report)(err, track)
    end)
  end
end

--- End a track that failed on this side of the wire, and tell whoever listens.
local function fail(job, err)
  require("lofi.events").emit("generation_error", {
    track_id = job.track_id, code = err.name, message = err.message,
  })
  finish(job, err)
end

--- Say what of the options this server cannot do, or nothing.
---@param options lofi.GenerateOptions
---@param features table what the server can do
---@return lofi.Error?
local function unsupported(options, features)
  if options.lora ~= nil and not features.lora then
    return { name = "NOT_SUPPORTED", message = "lora: this runtime plays no adapters yet; leave it out" }
  end
end

--- Fill what the caller left out from the settings.
---@param options lofi.GenerateOptions
---@param features table what the server can do
---@return table params
local function params_from(options, features)
  local settings = require("lofi.config").get()
  local params = vim.tbl_extend("keep", {}, options, {
    duration_sec = settings.duration_sec,
    inference_steps = settings.inference_steps,
    backend = settings.model.backend,
  })
  -- The procedural backend has no model to choose a variant or an adapter of.
  if params.backend ~= "procedural" then
    params.precision = params.precision or settings.model.precision
    params.lora = params.lora or (features.lora and settings.model.lora) or nil
  end
  return params
end

local function send_cancel(job, callback)
  require("lofi.runtime").request("cancel", { track_id = job.track_id }, callback)
end

--- Ask for a track.
---@param options lofi.GenerateOptions
---@param callback? lofi.Callback called once: with the finished `lofi.Track`, or with why not
---@return integer id for `cancel`
function M.start(options, callback)
  require("lofi.progress").attach()
  local job = require("lofi.state").add(options.prompt, callback)
  local runtime = require("lofi.runtime")
  runtime.connect({ start = true }, function(refusal)
    if refusal then
      return fail(job, refusal)
    end
    local features = runtime.capabilities().features or {}
    local problem = unsupported(options, features)
    if problem then
      return fail(job, problem)
    end
    local params = params_from(options, features)
    runtime.request("generate", params, function(err, answer)
      if not err and (type(answer) ~= "table" or type(answer.track_id) ~= "string") then
        err = { name = "BAD_FRAME", message = "lofi-runtime accepted the track without naming it" }
      end
      if err then
        return fail(job, err)
      end
      job.track_id, job.position = answer.track_id, answer.position
      job.status = answer.status == "queued" and "queued" or "generating"
      if job.cancelled then
        send_cancel(job, function() end)
      end
    end)
  end)
  return job.id
end

--- Return the tracks that `which` means.
local function select_jobs(which)
  local state = require("lofi.state")
  if which == "all" then
    return state.jobs()
  elseif type(which) == "string" then
    return state.of_track(which)
  elseif which == nil then
    return { state.current() }
  end
  return vim.tbl_filter(function(job)
    return job.id == which
  end, state.jobs())
end

--- Stop a track of this editor.
---@param which? integer|string what `start` returned, a track id, or "all"; nil: the one being made
---@param callback? lofi.Callback with `{cancelled, was_generating}`, once for each track
function M.cancel(which, callback)
  callback = callback or report
  local chosen = select_jobs(which)
  if #chosen == 0 then
    return callback({ name = "NOT_GENERATING", message = "nothing is being generated" })
  end
  for _, job in ipairs(chosen) do
    job.cancelled = true
    if job.track_id then
      send_cancel(job, callback)
    else
      -- Not answered yet: it is cancelled as soon as it has a name.
      callback(nil, { cancelled = true, was_generating = false })
    end
  end
end

--- What each notification does to the tracks it is about; after it, handlers are told.
local UPDATES = {
  generation_start = function(job)
    job.status, job.percent, job.position = "generating", 0, 0
  end,
  generation_progress = function(job, params)
    job.status, job.percent = "generating", params.percent
    job.stage, job.eta_sec = params.stage, params.eta_sec
  end,
}

local ENDINGS = {
  generation_complete = function(params)
    return nil, params
  end,
  generation_error = function(params)
    return { name = params.code, message = params.message }
  end,
  generation_cancelled = function()
    return { name = "GENERATION_CANCELLED", message = "the generation was cancelled" }
  end,
}

--- Take a notification from the server; one this plugin does not know is ignored.
---@param method string
---@param params table
function M.on_notification(method, params)
  local events = require("lofi.events")
  if not events.NAMES[method] then
    return
  end
  local jobs = require("lofi.state").of_track(params.track_id)
  for _, job in ipairs(jobs) do
    if UPDATES[method] then
      UPDATES[method](job, params)
    end
  end
  if method == "generation_complete" then
    require("lofi.state").last_track = params
  end
  events.emit(method, params)
  for _, job in ipairs(ENDINGS[method] and jobs or {}) do
    finish(job, ENDINGS[method](params))
  end
end

--- The server is gone, and with it every track it had accepted.
---@param err lofi.Error
function M.connection_closed(err)
  for _, job in ipairs(require("lofi.state").jobs()) do
    if job.track_id then
      fail(job, err)
    end
  end
end

return M
