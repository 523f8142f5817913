--- Who wants to know what happened: Lua handlers and `User` autocommands.
local M = {}

--- Every event, with the `User` autocommand of the same meaning.
M.NAMES = {
  generation_start = "LofiGenerationStart",
  generation_progress = "LofiGenerationProgress",
  generation_complete = "LofiGenerationComplete",
  generation_error = "LofiGenerationError",
  generation_cancelled = "LofiGenerationCancelled",
}

---@type table<string, { call: function, subscribed: boolean }[]>
local handlers = {}

local function complain(who, fault)
  vim.notify(("lofi: %s failed: %s"):format(who, fault), vim.log.levels.ERROR)
end

--- Call `handler(data)` whenever `event` happens, until the returned function is called.
---
--- Raises an error when there is no such event.
---@param event string a key of `NAMES`
---@param handler fun(data: table)
---@return fun() unsubscribe may be called at any time, any number of times
function M.on(event, handler)
  if not M.NAMES[event] then
    local hint = require("lofi.nearest").hint(tostring(event), vim.tbl_keys(M.NAMES))
    error(("lofi.on: '%s' is not an event; %s"):format(tostring(event), hint), 2)
  end
  handlers[event] = handlers[event] or {}
  local entry = { call = handler, subscribed = true }
  table.insert(handlers[event], entry)
  return function()
    entry.subscribed = false
    handlers[event] = vim.tbl_filter(function(other)
      return other ~= entry
    end, handlers[event])
  end
end

--- Tell everyone that `event` happened. A handler's error is shown and stops nobody else.
---@param event string a key of `NAMES`
---@param data table
function M.emit(event, data)
  -- Over a copy: a handler may unsubscribe itself or others while we walk.
  for _, entry in ipairs(vim.list_extend({}, handlers[event] or {})) do
    if entry.subscribed then
      local done, fault = pcall(entry.call, data)
      if not done then
        complain(("a handler of '%s'"):format(event), fault)
      end
    end
  end
  local options = { pattern = M.NAMES[event], modeline = false }
  if vim.fn.has("nvim-0.8") == 1 then
    options.data = data
  end
  local done, fault = pcall(vim.api.nvim_exec_autocmds, "User", options)
  if not done then
    complain(("an autocommand of '%s'"):format(M.NAMES[event]), fault)
  end
end

return M
