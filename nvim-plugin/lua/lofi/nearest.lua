--- The nearest known name to a misspelt one.
local M = {}

--- Count the single-letter edits that turn `a` into `b` (Levenshtein 1966).
---@param a string
---@param b string
---@return integer
local function distance(a, b)
  local previous = {}
  for j = 0, #b do
    previous[j] = j
  end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local change = a:byte(i) == b:byte(j) and 0 or 1
      row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + change)
    end
    previous = row
  end
  return previous[#b]
end

--- Return the name in `known` closest to `name`, or nil when none is close.
---@param name string
---@param known string[]
---@return string?
function M.find(name, known)
  local best, best_distance = nil, math.max(2, math.floor(#name / 3)) + 1
  for _, candidate in ipairs(known) do
    local found = distance(name:sub(1, 64):lower(), candidate:lower())
    if candidate:sub(1, #name) == name and #name >= 3 then
      found = 1 -- a beginning of the word counts as close: `duration` for `duration_sec`
    end
    if found < best_distance then
      best, best_distance = candidate, found
    end
  end
  return best
end

--- Say that `name` is unknown: with the nearest known one, or else with all of them.
---@param name string
---@param known string[]
---@return string clause such as "did you mean 'style'?"
function M.hint(name, known)
  local near = M.find(name, known)
  if near then
    return ("did you mean '%s'?"):format(near)
  end
  local sorted = vim.deepcopy(known)
  table.sort(sorted)
  return "known are " .. table.concat(sorted, ", ")
end

return M
