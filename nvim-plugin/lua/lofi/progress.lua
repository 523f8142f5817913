--- What a user sees of a generation: one line in the echo area, and one when it is over.
local uv = vim.uv or vim.loop

local M = {}

local THROTTLE_MS = 200
local RETRY_MS = 300

local attached = false
local last_drawn_ms = 0

--- True while a line would disturb what the user is typing or answering.
local function is_busy()
  local mode = vim.api.nvim_get_mode()
  return mode.blocking or mode.mode:find("^[cr]") ~= nil
end

--- Let a status line that shows `statusline()` follow.
local function redraw_statusline()
  if not is_busy() then
    vim.cmd("redrawstatus")
  end
end

--- Cut `text` to what fits on one line behind `before`, so that it never asks for Enter.
local function fit(text, before)
  text = text:gsub("%s+", " ")
  local room = math.max(vim.v.echospace - #before, 20)
  if vim.fn.strdisplaywidth(text) <= room then
    return text
  end
  local count = vim.fn.strchars(text)
  while count > 0 and vim.fn.strdisplaywidth(vim.fn.strcharpart(text, 0, count)) >= room do
    count = count - 1
  end
  return vim.fn.strcharpart(text, 0, count) .. "…"
end

--- Show a passing line, unless it would disturb or the user wants none.
---@param text string
function M.say(text)
  if require("lofi.config").get().notify == "all" and not is_busy() then
    vim.api.nvim_echo({ { "lofi: " .. fit(text, "lofi: ") } }, false, {})
  end
end

--- Show a line that must be seen; it waits while the user types a command.
local function announce(text, level)
  if is_busy() then
    return vim.defer_fn(function()
      announce(text, level)
    end, RETRY_MS)
  end
  vim.notify("lofi: " .. text, level)
end

--- Show an error in full, whatever `notify` says.
---@param err lofi.Error
function M.report_error(err)
  announce(err.message, vim.log.levels.ERROR)
end

local function announce_result(text, level)
  if require("lofi.config").get().notify ~= "off" then
    announce(text, level or vim.log.levels.INFO)
  end
end

--- Return the path as short as it must be to fit behind `before`.
local function short_path(before, path)
  local short = vim.fn.fnamemodify(path, ":~")
  local room = vim.v.echospace - vim.fn.strdisplaywidth("lofi: " .. before)
  return vim.fn.strdisplaywidth(short) <= room and short or vim.fn.pathshorten(short)
end

local function on_progress(data)
  local now_ms = uv.now()
  if now_ms - last_drawn_ms < THROTTLE_MS then
    return
  end
  last_drawn_ms = now_ms
  local line = ("%d%% %s"):format(data.percent or 0, data.stage or "")
  if data.total_steps and data.total_steps > 0 then
    line = ("%s %d/%d"):format(line, data.current_step or 0, data.total_steps)
  end
  if data.eta_sec then
    line = ("%s, %d s left"):format(line, math.ceil(data.eta_sec))
  end
  M.say(line)
  redraw_statusline()
end

local function on_complete(data)
  local before = ("%g s of music: "):format(data.duration_sec or 0)
  announce_result(fit(before .. short_path(before, data.path or "?"), "lofi: "))
  for _, warning in ipairs(data.warnings or {}) do
    announce_result(warning, vim.log.levels.WARN)
  end
  redraw_statusline()
end

--- Begin to draw; the second call does nothing.
function M.attach()
  if attached then
    return
  end
  attached = true
  local on = require("lofi.events").on
  on("generation_progress", on_progress)
  on("generation_complete", on_complete)
  on("generation_cancelled", function()
    announce_result("cancelled")
    redraw_statusline()
  end)
  on("generation_error", redraw_statusline)
end

return M
