--- `:checkhealth lofi`: what works, and for what does not, the command that mends it.
local M = {}

--- How long a check waits beyond the time the settings allow.
local GRACE_MS = 2000

-- Neovim 0.10 dropped the `report_` names that 0.7 has.
local health = vim.health or require("health")
local start = health.start or health.report_start
local ok = health.ok or health.report_ok
local info = health.info or health.report_info
local warn = health.warn or health.report_warn
local fail = health.error or health.report_error

local function check_editor()
  local version = vim.version()
  local text = ("Neovim %d.%d.%d"):format(version.major, version.minor, version.patch)
  if vim.fn.has("nvim-0.7.2") == 1 then
    ok(text)
  else
    fail(text .. " is older than 0.7.2", { "install a newer Neovim: https://neovim.io" })
  end
  local copies = vim.api.nvim_get_runtime_file("lua/lofi/init.lua", true)
  if #copies > 1 then
    warn("more than one plugin is named lofi: " .. table.concat(copies, ", "), {
      "remove the other one, such as lofi.nvim, from your plugin manager: this one replaces it",
    })
  end
end

---@return boolean found
local function check_executable()
  local err, path = require("lofi.server_process").find()
  if err then
    fail("lofi-runtime is not found: " .. err.message, {
      "run `pip install lofi-recipe`",
      "or name it: require('lofi').setup({ runtime_path = '/path/to/lofi-runtime' })",
    })
    return false
  end
  local answer = vim.trim(vim.fn.system({ path, "--version" }))
  if vim.v.shell_error ~= 0 then
    fail(("%s --version ended with exit code %d: %s"):format(path, vim.v.shell_error, answer), {
      "run `pip install --force-reinstall lofi-recipe`",
    })
    return false
  end
  ok(("%s at %s"):format(answer, path))
  return true
end

--- Ask the server and wait: a health check is the one place that may.
---@return lofi.Error?
---@return any
local function ask(method)
  local settings, answered = require("lofi.config").get(), nil
  require("lofi.runtime").request(method, {}, function(err, result)
    answered = { err = err, result = result }
  end)
  vim.wait(settings.start_timeout_ms + settings.request_timeout_ms + GRACE_MS, function()
    return answered ~= nil
  end, 20)
  answered = answered or { err = { name = "TIMEOUT", message = "no answer came" } }
  return answered.err, answered.result
end

local MENDS = {
  PROTOCOL_MISMATCH = "run `pip install --upgrade lofi-recipe`, then :lua require('lofi').shutdown()",
  BAD_FRAME = "another program uses the socket: remove the file, or set `socket` to another path",
  RUNTIME_FAILED = "run `lofi-runtime serve` in a terminal and read what it says; or :LofiLog",
}

---@return boolean connected
local function check_connection()
  local err, pong = ask("ping")
  if err then
    fail(err.message, { MENDS[err.name] or "read the log with :LofiLog" })
    return false
  end
  ok(("connected to lofi-runtime %s on %s"):format(pong.version, require("lofi.config").get().socket))
  ok(("plugin and runtime both speak protocol %d"):format(pong.protocol_version))
  return true
end

local function check_backends()
  local err, answer = ask("get_backends")
  if err then
    return fail(err.message, { "read the log with :LofiLog" })
  end
  for _, backend in ipairs(answer.backends) do
    local text = ("backend %s (%s): %s"):format(backend.type, backend.name, backend.status)
    text = backend.message and text .. " - " .. backend.message or text
    if backend.status == "ready" then
      ok(text)
    elseif backend.status == "not_installed" then
      info(text)
    else
      warn(text, { "run `lofi-runtime doctor`" })
    end
  end
  info("the default backend is " .. answer.default_backend)
end

--- Run all checks.
function M.check()
  start("lofi")
  check_editor()
  if check_executable() and check_connection() then
    check_backends()
  end
  info("the runtime's log: " .. require("lofi.server_process").log_path())
end

return M
