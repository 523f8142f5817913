-- Defines the commands; everything else loads when one of them is first used.
if vim.g.loaded_lofi or vim.fn.has("nvim-0.7") == 0 then
  return
end
vim.g.loaded_lofi = true

local complete = "customlist,v:lua.require'lofi.commands'.complete"
for _, name in ipairs({ "", "Generate", "Ace", "Cancel", "Status", "Backends", "Log" }) do
  local words = name == "" or name == "Generate" or name == "Ace"
  vim.api.nvim_create_user_command("Lofi" .. name, function(args)
    require("lofi.commands").run("Lofi" .. name, args)
  end, { nargs = words and "*" or 0, complete = words and complete or nil, bang = name == "Cancel" })
end
