--- What the words after `:LofiGenerate` may be.
---
--- What the connected server says about its limits wins; the lists here serve before there is one.
local M = {}

--- Each `key=value` of the command: the parameter it sets, whether that is a number, and the feature
--- a server must have for it to mean anything.
M.KEYS = {
  backend = { param = "backend" },
  duration = { param = "duration_sec", number = true },
  guidance = { param = "guidance_scale", number = true },
  lora = { param = "lora", feature = "lora" },
  lyrics = { param = "lyrics" },
  precision = { param = "precision" },
  priority = { param = "priority" },
  scheduler = { param = "scheduler" },
  seed = { param = "seed", number = true },
  steps = { param = "inference_steps", number = true },
  style = { param = "style" },
}

local BEFORE_CONNECTING = {
  backend = { "ace_step", "procedural" },
  duration = { "15", "30", "60", "90", "120", "180", "240" },
  guidance = { "7", "15" },
  precision = { "auto", "fp16", "int8", "int8-fast", "int4" },
  priority = { "high", "normal" },
  scheduler = { "euler", "heun", "pingpong" },
  steps = { "27", "60" },
}

--- How many styles each group of the taxonomy has (`recipes/styles`).
local STYLE_GROUPS = { CORE = 7, INST = 7, SEASON = 9, THEME = 10, VOCAL = 5 }

--- Return the ids of all styles, sorted.
---@return string[]
function M.style_ids()
  local ids = {}
  for group, count in pairs(STYLE_GROUPS) do
    for number = 1, count do
      table.insert(ids, ("%s-%02d"):format(group, number))
    end
  end
  table.sort(ids)
  return ids
end

--- Return the keys that can be used: all but those the connected server, or none, has no feature for.
---@return string[] sorted
function M.keys()
  local features = (require("lofi.runtime").capabilities() or {}).features or {}
  local keys = vim.tbl_filter(function(key)
    local feature = M.KEYS[key].feature
    return not feature or features[feature] == true
  end, vim.tbl_keys(M.KEYS))
  table.sort(keys)
  return keys
end

--- Return what a value may be, as the connected server tells it.
local function told_by_server(key)
  local capabilities = require("lofi.runtime").capabilities()
  if not capabilities then
    return nil
  elseif key == "backend" then
    return vim.tbl_map(function(backend)
      return backend.type
    end, capabilities.backends or {})
  end
  local limits = (capabilities.limits or {}).generate or {}
  return (limits[M.KEYS[key].param] or {}).choices
end

--- Return what may stand behind `key=`.
---@param key string
---@return string[]
function M.values(key)
  if key == "style" then
    return M.style_ids()
  end
  return told_by_server(key) or BEFORE_CONNECTING[key] or {}
end

local function starting_with(beginning, words)
  return vim.tbl_filter(function(word)
    return word:sub(1, #beginning):lower() == beginning:lower()
  end, words)
end

--- Complete one word of the command line.
---@param word string what stands before the cursor of it
---@param line string the whole command line
---@return string[]
function M.complete(word, line)
  local key, value = word:match("^(%a+)=(.*)$")
  if key and M.KEYS[key] then
    return vim.tbl_map(function(found)
      return key .. "=" .. found
    end, starting_with(value, M.values(key)))
  end
  local unused = vim.tbl_filter(function(known)
    return not line:find("%s" .. known .. "=")
  end, M.keys())
  return vim.tbl_map(function(known)
    return known .. "="
  end, starting_with(word, unused))
end

return M
