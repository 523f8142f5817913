--- The settings: what may be set, what holds when nothing is, and what was wrong with what was set.
local M = {}

--- Every key `setup()` takes. `restart`: a running server keeps the old value.
local FIELDS = {
  runtime_path = { type = "string", default = "lofi-runtime", restart = true },
  socket = { type = "string", restart = true },
  idle_exit_sec = { type = "integer", default = 600, min = 1, restart = true },
  threads = { type = "integer", min = 1, restart = true },
  start_timeout_ms = { type = "integer", default = 20000, min = 1 },
  request_timeout_ms = { type = "integer", default = 10000, min = 1 },
  backend = { type = "string" },
  duration_sec = { type = "integer", min = 1 },
  inference_steps = { type = "integer", min = 1 },
  model = {
    fields = {
      backend = { type = "string" },
      source = { type = "string", restart = true },
      lora = { type = "string" },
      precision = { type = "string" },
    },
  },
  icons = { fields = { generating = { type = "string", default = "◌" } } },
  notify = { type = "string", default = "all", choices = { "all", "result", "off" } },
}

--- Where the server listens when nobody says otherwise; the runtime's own rule.
---@return string
local function default_socket()
  local runtime_folder = os.getenv("XDG_RUNTIME_DIR") or ""
  if runtime_folder:sub(1, 1) == "/" then
    return (runtime_folder:gsub("/+$", "")) .. "/lofi/runtime.sock"
  end
  local folder = "/tmp"
  for _, name in ipairs({ "TMPDIR", "TEMP", "TMP" }) do
    local value = os.getenv(name)
    if value and vim.fn.isdirectory(value) == 1 then
      folder = vim.fn.fnamemodify(value, ":p"):gsub("/+$", "")
      break
    end
  end
  return ("%s/lofi-%d/runtime.sock"):format(folder, (vim.uv or vim.loop).getuid())
end

--- Say what is wrong with one value, or nothing.
---@param field table one of FIELDS
---@param value any
---@return string?
local function fault_of(field, value)
  if field.type == "integer" then
    if type(value) ~= "number" or value % 1 ~= 0 then
      return ("must be a whole number, not %s"):format(vim.inspect(value))
    end
    if field.min and value < field.min then
      return ("%d is less than the minimum of %d"):format(value, field.min)
    end
  elseif type(value) ~= field.type then
    return ("must be a %s, not %s"):format(field.type, vim.inspect(value))
  elseif value == "" then
    return "must not be empty"
  elseif field.choices and not vim.tbl_contains(field.choices, value) then
    return ("'%s' is not one of %s"):format(value, table.concat(field.choices, ", "))
  end
end

--- Check `values` against `fields` and collect every fault, not only the first.
---@param fields table
---@param values any
---@param prefix string where in the settings this table lies, such as "model."
---@param faults string[]
local function check(fields, values, prefix, faults)
  for key, value in pairs(values) do
    local field, name = fields[key], prefix .. tostring(key)
    if not field then
      local hint = require("lofi.nearest").hint(tostring(key), vim.tbl_keys(fields))
      table.insert(faults, ("'%s' is not a setting; %s"):format(name, hint))
    elseif field.fields then
      if type(value) == "table" then
        check(field.fields, value, name .. ".", faults)
      else
        table.insert(faults, ("'%s' must be a table, not %s"):format(name, vim.inspect(value)))
      end
    else
      local fault = fault_of(field, value)
      if fault then
        table.insert(faults, ("'%s': %s"):format(name, fault))
      end
    end
  end
end

--- Return what holds when nothing is set.
---@param fields table
---@return table
local function defaults_of(fields)
  local values = {}
  for key, field in pairs(fields) do
    values[key] = field.fields and defaults_of(field.fields) or field.default
  end
  return values
end

--- Collect the keys that changed and that a running server keeps its old values of.
local function collect_restarts(fields, before, after, prefix, found)
  for key, field in pairs(fields) do
    if field.fields then
      collect_restarts(field.fields, before[key], after[key], prefix .. key .. ".", found)
    elseif field.restart and before[key] ~= after[key] then
      table.insert(found, prefix .. key)
    end
  end
end

--- Fold the short and the hyphenated spelling of the backend into `model.backend`.
---@param settings table
local function settle_backend(settings)
  settings.model.backend = (settings.model.backend or settings.backend or ""):gsub("%-", "_")
  if settings.model.backend == "" then
    settings.model.backend = nil
  end
  settings.backend = nil
end

--- Make `model.source` an absolute folder; take it out where it is none, and say so.
---@param model lofi.ModelConfig
---@return string? notice
local function settle_source(model)
  local wanted = model.source
  if not wanted then
    return
  end
  model.source = vim.fn.expand(wanted)
  if model.source:sub(1, 1) ~= "/" then
    model.source = nil
    return ("'model.source': \"%s\" is not used: it must be a bundle's folder, absolute or with ~; "
      .. "pulling a model by its name comes later"):format(wanted)
  end
end

local current

--- Return the settings in force.
---@return lofi.Config
function M.get()
  if not current then
    current = defaults_of(FIELDS)
    current.socket = default_socket()
  end
  return current
end

--- Return the names of all settings, sorted.
---@return string[]
function M.keys()
  local keys = vim.tbl_keys(FIELDS)
  table.sort(keys)
  return keys
end

--- Check `opts` and put them in force over the defaults.
---
--- Raises an error naming every key that is unknown or holds a wrong value; nothing changes then.
---@param opts? lofi.Config
---@return string[] notices one line each, about old keys and what has no effect
---@return string[] restarts the changed keys that a running server keeps its old values of
function M.set(opts)
  if opts ~= nil and type(opts) ~= "table" then
    error(("lofi.setup: the settings must be a table, not %s"):format(vim.inspect(opts)), 0)
  end
  local wanted, notices = require("lofi.legacy").translate(opts or {})
  local faults = {}
  check(FIELDS, wanted, "", faults)
  if #faults > 0 then
    table.sort(faults)
    error("lofi.setup: " .. table.concat(faults, "\nlofi.setup: "), 0)
  end
  local before = M.get()
  local settings = vim.tbl_deep_extend("force", defaults_of(FIELDS), wanted)
  settings.socket = settings.socket and vim.fn.expand(settings.socket) or default_socket()
  settle_backend(settings)
  notices[#notices + 1] = settle_source(settings.model)
  if settings.model.lora then
    table.insert(notices, "'model.lora' has no effect until the runtime plays adapters")
  end
  current = settings
  local restarts = {}
  collect_restarts(FIELDS, before, settings, "", restarts)
  table.sort(restarts)
  return notices, restarts
end

return M
