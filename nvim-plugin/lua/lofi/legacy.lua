--- The settings of lofi.nvim, in the words of today.
local M = {}

--- Return the runtime's executable that was installed beside the daemon at `path`, if it was.
---@param path any
---@return string?
local function runtime_beside(path)
  if type(path) == "string" then
    local runtime = vim.fn.fnamemodify(vim.fn.exepath(path), ":h") .. "/lofi-runtime"
    return vim.fn.executable(runtime) == 1 and runtime or nil
  end
end

--- Each key that is one no more (`backend` and `threads` still are): changes `opts` where it has a
--- meaning today, and says what became of it.
local OLD_KEYS = {
  daemon_path = function(opts, value)
    local runtime = runtime_beside(value)
    opts.runtime_path = opts.runtime_path or runtime
    return runtime and "'daemon_path' is now 'runtime_path'"
      or "'daemon_path' is not used any more; set 'runtime_path' to lofi-runtime"
  end,
  model_path = function(opts, value)
    opts.model = vim.tbl_extend("keep", opts.model or {}, { source = value })
    return "'model_path' is now 'model.source'"
  end,
  device = function()
    return "'device' is chosen by the runtime"
  end,
}

--- Return a copy of `opts` in today's keys, and at most one notice about the old ones.
---@param opts table
---@return table
---@return string[]
function M.translate(opts)
  local translated, found = vim.deepcopy(opts), {}
  for key, translate in pairs(OLD_KEYS) do
    if translated[key] ~= nil then
      local value = translated[key]
      translated[key] = nil
      table.insert(found, translate(translated, value))
    end
  end
  if translated.backend == "musicgen" then
    translated.backend = nil
    table.insert(found, "the backend 'musicgen' does not exist any more; the default is used")
  end
  table.sort(found)
  return translated, #found > 0 and { "settings of lofi.nvim: " .. table.concat(found, "; ") } or {}
end

return M
