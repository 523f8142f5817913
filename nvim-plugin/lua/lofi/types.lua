--- The shapes that cross between the plugin's files and reach users' code.
---@meta

--- What `lofi.setup()` takes. See `:help lofi-config`.
---@class (exact) lofi.Config
---@field runtime_path? string the server's executable; a name is looked up on the PATH
---@field socket? string where the server listens
---@field idle_exit_sec? integer seconds without any client after which the server ends
---@field threads? integer processor threads for a model
---@field start_timeout_ms? integer how long to wait for a server that starts
---@field request_timeout_ms? integer how long to wait for an answer
---@field backend? lofi.Backend short for `model.backend`
---@field duration_sec? integer length of a track when none is given
---@field inference_steps? integer denoising steps when none are given
---@field model? lofi.ModelConfig
---@field icons? { generating?: string }
---@field notify? "all"|"result"|"off" progress and results, results alone, or nothing but errors

---@class (exact) lofi.ModelConfig
---@field backend? lofi.Backend
---@field source? string a bundle's folder (absolute, or with `~`), used instead of the installed ones
---@field lora? string adapter; without effect until the runtime plays them
---@field precision? "auto"|"fp16"|"int8"|"int8-fast"|"int4"

---@alias lofi.Backend "procedural"|"ace_step"

--- What `lofi.generate()` takes; all but the prompt may be left out.
---@class lofi.GenerateOptions
---@field prompt string tags or plain words
---@field duration_sec? integer
---@field lyrics? string
---@field style? string a style's id, such as "SEASON-06"
---@field seed? integer 0 to 2^53 - 1
---@field priority? "normal"|"high"
---@field backend? lofi.Backend
---@field precision? string
---@field lora? string refused until the runtime plays adapters
---@field inference_steps? integer
---@field scheduler? "euler"|"heun"|"pingpong"
---@field guidance_scale? number

--- A finished track, as the event `generation_complete` and the callback of `generate()` carry it.
---@class lofi.Track
---@field track_id string 16 hexadecimal digits
---@field path string absolute path of the audio file
---@field duration_sec number
---@field sample_rate integer 48000
---@field generation_time_sec number
---@field backend lofi.Backend
---@field model_version string
---@field seed integer
---@field prompt string
---@field warnings string[]

--- Why something did not happen. `message` is one line for a human.
---@class lofi.Error
---@field name lofi.ErrorName|string the protocol's name ("INVALID_DURATION") or one of the plugin's own
---@field message string
---@field code? integer the protocol's number, when the server refused

---@alias lofi.ErrorName
---| "RUNTIME_MISSING"   # the executable is not there
---| "RUNTIME_FAILED"    # it ended, or did not listen in time
---| "CONNECTION_CLOSED" # the server went away
---| "CONNECTION_FAILED" # nobody listens on the socket
---| "BAD_FRAME"         # what came was no msgpack-RPC, or too large
---| "TIMEOUT"           # no answer in time
---| "PROTOCOL_MISMATCH" # plugin and server are of different versions
---| "GENERATION_CANCELLED"
---| "NOT_GENERATING"    # nothing to cancel
---| "NOT_SUPPORTED"     # the runtime cannot do this yet

---@alias lofi.Callback fun(err: lofi.Error?, result: any)

--- A track this editor asked for and does not have yet.
---@class lofi.Job
---@field id integer this editor's own number for it
---@field prompt string
---@field status "starting"|"queued"|"generating"
---@field track_id? string known once the server has answered
---@field position? integer tracks that will begin before this one
---@field percent? integer 0 to 99
---@field eta_sec? number
---@field stage? string
---@field cancelled? boolean the user asked to stop it
---@field callback? lofi.Callback
