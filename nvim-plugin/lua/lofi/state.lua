--- What this editor is waiting for: its tracks that are not finished.
local M = {}

---@type lofi.Job[] in the order they were asked for
local jobs = {}
local last_id = 0

--- Remember a new track.
---@param prompt string
---@param callback? lofi.Callback
---@return lofi.Job
function M.add(prompt, callback)
  last_id = last_id + 1
  local job = { id = last_id, prompt = prompt, status = "starting", callback = callback }
  table.insert(jobs, job)
  return job
end

--- Forget a track; true when it was known.
---@param job lofi.Job
---@return boolean
function M.remove(job)
  for index, other in ipairs(jobs) do
    if other == job then
      table.remove(jobs, index)
      return true
    end
  end
  return false
end

--- Return the tracks that are not finished, oldest first; a copy of the list.
---@return lofi.Job[]
function M.jobs()
  return vim.list_extend({}, jobs)
end

--- Return those with this track id; two requests for one sound share it.
---@param track_id string
---@return lofi.Job[]
function M.of_track(track_id)
  return vim.tbl_filter(function(job)
    return job.track_id ~= nil and job.track_id == track_id
  end, jobs)
end

--- Return the track being made, or else the one that is to be made next.
---@return lofi.Job?
function M.current()
  for _, job in ipairs(jobs) do
    if job.status == "generating" then
      return job
    end
  end
  return jobs[1]
end

--- Return a copy that is safe to hand out.
---@return table[]
function M.snapshot()
  return vim.tbl_map(function(job)
    local copy = vim.tbl_extend("force", {}, job)
    copy.callback = nil
    return copy
  end, jobs)
end

--- Return a few signs for a status line, such as "◌ 45%"; nil when nothing is being made.
---@return string?
function M.statusline()
  local job = M.current()
  if not job then
    return nil
  end
  local icon = require("lofi.config").get().icons.generating
  return job.percent and ("%s %d%%"):format(icon, job.percent) or icon
end

return M
