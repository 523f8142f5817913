--- The commands: what the words after them mean, and what is shown.
local M = {}

local function show(text, level)
  vim.notify("lofi: " .. text, level or vim.log.levels.INFO)
end

--- Show an error, or hand the result on.
local function unless_error(use)
  return function(err, result)
    if err then
      return require("lofi.progress").report_error(err)
    end
    use(result)
  end
end

--- Split a command's words into a prompt and `key=value` pairs. No number is guessed at.
---@param words string[]
---@return string? problem
---@return lofi.GenerateOptions?
function M.parse(words)
  local keys = require("lofi.completion").KEYS
  local prompt, options = {}, {}
  for _, word in ipairs(words) do
    local key, value = word:match("^([%a_]+)=(.*)$")
    if not key then
      table.insert(prompt, word)
    elseif not keys[key] then
      local hint = require("lofi.nearest").hint(key, require("lofi.completion").keys())
      return ("'%s' is not a setting of a track; %s"):format(key, hint)
    elseif options[keys[key].param] ~= nil then
      return ("'%s' is given twice"):format(key)
    elseif value == "" then
      return ("'%s=' has no value"):format(key)
    elseif keys[key].number and not tonumber(value) then
      return ("%s: '%s' is not a number"):format(key, value)
    else
      options[keys[key].param] = keys[key].number and tonumber(value) or value
    end
  end
  if #prompt == 0 then
    return "say what you want to hear, as in `:LofiGenerate rainy night coding duration=60`"
  end
  options.prompt = table.concat(prompt, " ")
  options.backend = options.backend and options.backend:gsub("%-", "_") or nil
  return nil, options
end

local function generate(args, backend)
  local problem, options = M.parse(args.fargs)
  if problem then
    return show(problem, vim.log.levels.ERROR)
  end
  options.backend = options.backend or backend
  require("lofi").generate(options)
end

--- Return a line about one of this editor's tracks.
local function job_line(job)
  local how = job.status
  if job.percent then
    how = ("%d%%"):format(job.percent)
  elseif (job.position or 0) > 0 then
    how = ("queued behind %d"):format(job.position)
  end
  return ("%s: %s"):format(how, job.prompt)
end

--- Return the lines of `:LofiStatus`.
---@param status table the server's answer, or nil when none runs
---@return string[]
local function status_lines(status)
  local own = require("lofi").status()
  local lines = { "the runtime does not run; the next :LofiGenerate starts it" }
  if status then
    local form = "runtime %s, up %d s, editors connected: %d, tracks waiting: %d, default backend: %s"
    lines[1] = form:format(
      status.version, status.uptime_sec, status.clients, status.queue_length, status.backend
    )
  end
  vim.list_extend(lines, vim.tbl_map(job_line, own.jobs))
  if own.last_track then
    table.insert(lines, "last track: " .. own.last_track.path)
  end
  return lines
end

local function show_status()
  local runtime = require("lofi.runtime")
  runtime.connect({ start = false }, function(err)
    if err and err.name == "CONNECTION_FAILED" then
      return show(table.concat(status_lines(nil), "\n"))
    elseif err then
      return require("lofi.progress").report_error(err)
    end
    runtime.request("status", {}, unless_error(function(status)
      show(table.concat(status_lines(status), "\n"))
    end))
  end)
end

local function show_backends()
  require("lofi").get_backends(unless_error(function(answer)
    local lines = { "backends (default: " .. answer.default_backend .. ")" }
    for _, backend in ipairs(answer.backends) do
      local form = "  %s: %s, %s, %d to %d s"
      local line = form:format(
        backend.type, backend.name, backend.status, backend.min_duration_sec, backend.max_duration_sec
      )
      table.insert(lines, backend.message and line .. " - " .. backend.message or line)
    end
    show(table.concat(lines, "\n"))
  end))
end

local function show_log()
  local path = require("lofi.server_process").log_path()
  if vim.fn.filereadable(path) == 0 then
    return show("there is no log yet: " .. path)
  end
  vim.cmd("botright split " .. vim.fn.fnameescape(path))
  vim.bo.readonly = true
  vim.bo.autoread = true
  vim.cmd("normal! G")
end

local COMMANDS = {
  LofiGenerate = generate,
  Lofi = generate, -- today's lofi.nvim; it guessed at a number behind the words, we do not
  LofiAce = function(args)
    generate(args, "ace_step")
  end,
  LofiCancel = function(args)
    require("lofi").cancel(args.bang and "all" or nil, unless_error(function() end))
  end,
  LofiStatus = show_status,
  LofiBackends = show_backends,
  LofiLog = show_log,
}

--- Run a command.
---@param name string
---@param args table what Neovim hands to a user command
function M.run(name, args)
  COMMANDS[name](args)
end

--- Complete the word before the cursor.
---@param word string
---@param line string
---@param cursor integer bytes before the cursor
---@return string[]
function M.complete(word, line, cursor)
  return require("lofi.completion").complete(word, line:sub(1, cursor))
end

return M
