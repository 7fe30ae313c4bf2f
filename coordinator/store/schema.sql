-- The coordinator's store, version 8. Embedded by CMake; applied to an empty file. States and kinds are the numbers of coordinator/core/job.h.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

-- request: the Campaign message as the client sent it. The ledger is rebuilt from it. From tasks on: what it came to, once it has ended.
CREATE TABLE campaigns (
  id INTEGER PRIMARY KEY,
  token BLOB NOT NULL,
  request BLOB NOT NULL,
  pack BLOB NOT NULL,
  state INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER NOT NULL,
  busy_ms INTEGER NOT NULL,
  overlap_ms INTEGER NOT NULL,
  ranges_at_once INTEGER NOT NULL,
  superseded INTEGER NOT NULL DEFAULT 0,
  owner BLOB,
  tasks INTEGER NOT NULL DEFAULT 0,
  tasks_done INTEGER NOT NULL DEFAULT 0,
  tasks_cached INTEGER NOT NULL DEFAULT 0,
  shots_judged INTEGER NOT NULL DEFAULT 0,
  shots_first_try INTEGER NOT NULL DEFAULT 0,
  shots_settled INTEGER NOT NULL DEFAULT 0,
  shots_passed INTEGER NOT NULL DEFAULT 0,
  retry_ms INTEGER NOT NULL DEFAULT 0
);

-- plan: NULL while planning. graph: digest of the tasks that this plan was compiled to.
CREATE TABLE videos (
  id INTEGER PRIMARY KEY,
  campaign INTEGER NOT NULL REFERENCES campaigns (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL,
  plan TEXT,
  graph BLOB,
  manifest BLOB,
  manifest_bytes INTEGER NOT NULL,
  file BLOB,
  file_bytes INTEGER NOT NULL,
  UNIQUE (campaign, number)
);

-- What a task computes is compiled from the plan, and for later takes from the first; here is only what happened to it. verdict: of a
-- decode, the gates that its take failed, as JSON; NULL: not judged. failed_on: worker ids, separated by spaces. checkpoint: the
-- solver state after checkpoint_step, from which the next attempt goes on.
CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  video INTEGER NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  shot INTEGER NOT NULL,
  key BLOB,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  worker INTEGER NOT NULL,
  losses INTEGER NOT NULL,
  failed_on TEXT NOT NULL,
  too_small_bytes INTEGER NOT NULL,
  trouble TEXT,
  cached INTEGER NOT NULL,
  busy_ms INTEGER NOT NULL,
  reason INTEGER NOT NULL DEFAULT 0,
  errors INTEGER NOT NULL DEFAULT 0,
  timeouts INTEGER NOT NULL DEFAULT 0,
  checkpoint BLOB,
  checkpoint_bytes INTEGER NOT NULL DEFAULT 0,
  checkpoint_step INTEGER NOT NULL DEFAULT 0,
  take INTEGER NOT NULL DEFAULT 0,
  verdict TEXT,
  profile INTEGER NOT NULL DEFAULT 0,
  UNIQUE (video, position)
);

-- The task cache, and the only place where outputs are written: same key, same bytes.
CREATE TABLE results (
  key BLOB NOT NULL,
  output INTEGER NOT NULL,
  digest BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (key, output)
) WITHOUT ROWID;

CREATE TABLE plans (key BLOB PRIMARY KEY, plan TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE workers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, boot_id BLOB NOT NULL, key BLOB);

-- Who may connect, and invites. role and state are the numbers of common/base/credential.h and coordinator/core/access.h.
CREATE TABLE keys (
  key BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  role INTEGER NOT NULL,
  state INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  heir BLOB
) WITHOUT ROWID;

-- Campaigns whose record was removed: submitted once more with its token, such a campaign is not made a second time.
CREATE TABLE forgotten (token BLOB PRIMARY KEY, campaign INTEGER NOT NULL) WITHOUT ROWID;

-- Blobs that the farm removed to make room: a result that names one is no damage, its task is made again when it is needed.
CREATE TABLE evicted (digest BLOB PRIMARY KEY) WITHOUT ROWID;
