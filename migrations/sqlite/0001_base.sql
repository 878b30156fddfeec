-- Times are microseconds since 1970, UTC. Words (states, kinds) are text, so that a person with a
-- shell can read the tables. Which words there are is checked one by one: for IN and more than two of
-- them SQLite builds a table, anew for each row that it writes.

CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- People -----------------------------------------------------------------------------------------

CREATE TABLE recipients (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    address      TEXT,                      -- normalised; NULL once erased
    domain       TEXT NOT NULL,
    address_hash BLOB,                      -- keyed, what suppressions are compared with
    attributes   TEXT NOT NULL DEFAULT '{}',
    revision     INTEGER NOT NULL DEFAULT 0, -- how often the attributes changed
    tracking     BOOLEAN NOT NULL DEFAULT FALSE,
    paused_until INTEGER,
    limit_count  INTEGER,                   -- the person's own limit: at most so many messages
    limit_days   INTEGER,                   -- in so many days
    created_at   INTEGER NOT NULL,
    erased_at    INTEGER
);
-- One person however the address is spelled; the spelling that came first is kept for sending.
CREATE UNIQUE INDEX recipients_address ON recipients (LOWER(address));
CREATE INDEX recipients_erased ON recipients (erased_at, id) WHERE erased_at IS NOT NULL;

-- What attributes were with which a message went out, once they changed: the mail in the browser shows them.
CREATE TABLE past_attributes (
    recipient_id INTEGER NOT NULL REFERENCES recipients (id),
    revision     INTEGER NOT NULL,
    until_at     INTEGER NOT NULL,
    attributes   TEXT NOT NULL,
    PRIMARY KEY (recipient_id, revision)
) WITHOUT ROWID;
CREATE INDEX past_attributes_until ON past_attributes (until_at);

CREATE TABLE subscriptions (
    recipient_id INTEGER NOT NULL REFERENCES recipients (id),
    topic        TEXT NOT NULL,
    subscribed   BOOLEAN NOT NULL,
    since        INTEGER NOT NULL,
    PRIMARY KEY (recipient_id, topic)
) WITHOUT ROWID;

-- The ledger of permissions: append-only, one hash chain per recipient. Erasure empties payload and
-- salt and leaves the chain. Entries in a row that share their proof have the same commitment, and
-- the first of them carries payload and salt.
CREATE TABLE consents (
    recipient_id INTEGER NOT NULL REFERENCES recipients (id),
    seq          INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    purpose      TEXT NOT NULL CHECK (
        purpose = 'contact' OR purpose = 'tracking' OR purpose = 'frequency' OR purpose = 'address'
    ),
    topic        TEXT NOT NULL DEFAULT '',
    granted      BOOLEAN NOT NULL,
    payload      TEXT,
    salt         BLOB,
    commitment   BLOB NOT NULL,
    chain        BLOB NOT NULL,
    PRIMARY KEY (recipient_id, seq)
) WITHOUT ROWID;
CREATE INDEX consents_untracked ON consents (at, recipient_id) WHERE purpose = 'tracking' AND NOT granted;

CREATE TABLE suppressions (
    hash   BLOB PRIMARY KEY,
    at     INTEGER NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;

-- What is sent -----------------------------------------------------------------------------------

CREATE TABLE versions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    hash    TEXT NOT NULL UNIQUE,
    applied INTEGER                         -- order of the last apply; NULL: made by a send
);

CREATE TABLE version_files (
    version_id INTEGER NOT NULL REFERENCES versions (id),
    path       TEXT NOT NULL,
    content    TEXT NOT NULL,
    -- What names a picture by its content; not set for other files.
    picture    TEXT,
    PRIMARY KEY (version_id, path)
) WITHOUT ROWID;
CREATE INDEX version_files_picture ON version_files (picture) WHERE picture IS NOT NULL;

CREATE TABLE runs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    campaign   TEXT NOT NULL,
    topic      TEXT NOT NULL,
    occasion   TEXT NOT NULL,
    version_id INTEGER NOT NULL REFERENCES versions (id),
    state      TEXT NOT NULL CHECK (
        state = 'scheduled' OR state = 'running' OR state = 'paused' OR state = 'done' OR
        state = 'cancelled' OR state = 'expired'
    ),
    reason     TEXT,
    at         INTEGER NOT NULL,            -- the instant at which the audience is judged
    cursor     INTEGER NOT NULL DEFAULT 0,  -- the audience up to this recipient has its messages
    claimed_all BOOLEAN NOT NULL DEFAULT FALSE,
    planned    INTEGER,
    started_at INTEGER,
    resumed_at INTEGER,          -- by a person; rejections before it count no more
    any_hour   BOOLEAN NOT NULL DEFAULT FALSE, -- window and days without mail do not count
    waits_for  TEXT,                        -- why nothing leaves at present
    waits_until INTEGER,
    ended_at   INTEGER,
    resends    INTEGER,                     -- the run whose mail it sends again
    resend_to  TEXT,                        -- to whom of it
    subject    TEXT,                        -- in place of the campaign's
    hushed     BOOLEAN NOT NULL DEFAULT FALSE, -- what servers said about its messages is removed
    UNIQUE (campaign, occasion)
);
CREATE INDEX runs_open ON runs (state) WHERE state IN ('scheduled', 'running', 'paused');
CREATE INDEX runs_ended ON runs (ended_at);

-- Parts of a run that leave by recipients' own clocks; a run without any is sent as a whole, by its own cursor.
CREATE TABLE waves (
    run_id      INTEGER NOT NULL REFERENCES runs (id),
    number      INTEGER NOT NULL,            -- from 1, by due_at
    due_at      INTEGER NOT NULL,            -- the instant at which its people are judged, and before which none leaves
    zones       TEXT NOT NULL,              -- names in lower case, a space between; the first one's clocks count
    others      BOOLEAN NOT NULL,           -- and everybody who is in no other wave
    cursor      INTEGER NOT NULL DEFAULT 0,
    claimed_all BOOLEAN NOT NULL DEFAULT FALSE,
    expired_at  INTEGER,             -- when it was too late to begin it
    expired_people INTEGER,          -- how many were counted then
    PRIMARY KEY (run_id, number)
) WITHOUT ROWID;

CREATE TABLE run_exclusions (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    reason TEXT NOT NULL,
    people INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
) WITHOUT ROWID;

CREATE TABLE nodes (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    heartbeat  INTEGER NOT NULL DEFAULT 0,  -- a counter, no clock
    share_from INTEGER NOT NULL DEFAULT 0,  -- its part of all limits, see domain/share.rs
    share_to   INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER NOT NULL
);

-- Relays, and domains at them, that have slowed themselves down; each node by what it was told.
CREATE TABLE slowdowns (
    node_id    INTEGER NOT NULL,
    relay      TEXT NOT NULL,
    domain     TEXT NOT NULL,               -- empty: the relay as a whole
    per_second REAL NOT NULL,
    full_rate  REAL NOT NULL,             -- messages per second before
    since      INTEGER NOT NULL,
    reason     TEXT NOT NULL,               -- the receiver's codes
    PRIMARY KEY (node_id, relay, domain)
) WITHOUT ROWID;

-- What was drawn from the amounts of days on which relays warm up.
CREATE TABLE warm_ups (
    relay  TEXT NOT NULL,
    domain TEXT NOT NULL,                   -- empty: the relay in all
    day    TEXT NOT NULL,                   -- YYYY-MM-DD
    drawn  INTEGER NOT NULL,
    PRIMARY KEY (relay, domain, day)
) WITHOUT ROWID;

CREATE TABLE messages (
    run_id       INTEGER NOT NULL,
    recipient_id INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (
        state = 'waiting' OR state = 'claimed' OR state = 'sending' OR state = 'accepted' OR
        state = 'rejected' OR state = 'deferred' OR state = 'unknown' OR state = 'skipped'
    ),
    wave         INTEGER NOT NULL DEFAULT 0,  -- of the run's waves; 0 where it has none
    node_id      INTEGER,
    attempt      INTEGER NOT NULL DEFAULT 0,
    at           INTEGER NOT NULL,          -- of the last claim or answer
    due_at       INTEGER,                   -- waiting and deferred: not before
    first_at     INTEGER,                   -- of the first attempt
    revision     INTEGER,                   -- of the attributes that the last attempt was written with
    relay        TEXT,
    code         INTEGER,
    reply        TEXT,                      -- the server's words, or why it was skipped
    counted      INTEGER NOT NULL DEFAULT 0, -- under what it stands in hit_totals: a bit for each kind and verdict
    PRIMARY KEY (run_id, recipient_id)
) WITHOUT ROWID;
CREATE INDEX messages_due ON messages (run_id, wave, due_at) WHERE state IN ('waiting', 'deferred');
CREATE INDEX messages_held ON messages (node_id) WHERE node_id IS NOT NULL;
-- Without a time: every mark sets one, and would move its entry.
CREATE INDEX messages_recipient ON messages (recipient_id);

-- Attempts that did not end with `accepted`; an accepted one stands in its message.
CREATE TABLE attempts (
    run_id       INTEGER NOT NULL,
    recipient_id INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    relay        TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    code         INTEGER,
    reply        TEXT NOT NULL,
    PRIMARY KEY (run_id, recipient_id, attempt)
) WITHOUT ROWID;

-- Transactional mails: what somebody asked for a moment ago. They go ahead of all messages.
CREATE TABLE notices (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,             -- confirm, already_subscribed …
    recipient_id INTEGER,                   -- none: who asks to join is no recipient yet
    address      TEXT,                      -- NULL once forgotten
    address_hash BLOB,                      -- keyed, what suppressions are compared with
    language     TEXT NOT NULL,             -- BCP 47
    data         TEXT NOT NULL,             -- JSON that templates see; empty once it was handed over
    state        TEXT NOT NULL CHECK (
        state = 'waiting' OR state = 'claimed' OR state = 'sending' OR state = 'accepted' OR
        state = 'rejected' OR state = 'deferred' OR state = 'unknown' OR state = 'skipped'
    ),
    node_id      INTEGER,
    attempt      INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,          -- what is not handed over by then is given up
    at           INTEGER NOT NULL,          -- of the last claim or answer
    due_at       INTEGER,                   -- waiting and deferred: not before
    first_at     INTEGER,                   -- of the first attempt
    message_id   TEXT,                      -- without brackets, since the first claim
    template     TEXT,                      -- SHA-256 of what the last claim was written from, in hexadecimal
    relay        TEXT,
    code         INTEGER,
    reply        TEXT                       -- the server's words, or why it was not sent
);
CREATE INDEX notices_due ON notices (due_at) WHERE state IN ('waiting', 'deferred');
CREATE INDEX notices_held ON notices (node_id) WHERE node_id IS NOT NULL;
CREATE INDEX notices_address ON notices (address_hash) WHERE address_hash IS NOT NULL;
CREATE INDEX notices_recipient ON notices (recipient_id) WHERE recipient_id IS NOT NULL;

-- Who has asked to join and has not confirmed: no recipients yet. They vanish at expires_at.
CREATE TABLE joins (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    address      TEXT NOT NULL,             -- empty once confirmed
    address_hash BLOB NOT NULL,
    topics       TEXT NOT NULL,             -- JSON list
    tracking     BOOLEAN NOT NULL,
    attributes   TEXT NOT NULL,             -- JSON; empty once confirmed
    proof        TEXT NOT NULL,             -- JSON: wording, form, request; empty once confirmed
    at           INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    confirmed_at INTEGER,
    notice_id    INTEGER                    -- the mail that asks for confirmation
);
CREATE INDEX joins_expires ON joins (expires_at);
CREATE INDEX joins_address ON joins (address_hash);

-- When a mailbox was asked of late, whoever asked; addresses that differ in what follows a '+' are one mailbox.
CREATE TABLE join_limits (
    mailbox_hash BLOB PRIMARY KEY,
    last_at      INTEGER NOT NULL,          -- the latest times, newest first; 0: none
    second_at    INTEGER NOT NULL,
    third_at     INTEGER NOT NULL,
    fourth_at    INTEGER NOT NULL
) WITHOUT ROWID;

-- What comes back --------------------------------------------------------------------------------

CREATE TABLE hits (
    id           BLOB PRIMARY KEY,          -- UUIDv7
    at           INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('open', 'click')),
    method       TEXT NOT NULL,
    run_id       INTEGER NOT NULL,
    recipient_id INTEGER NOT NULL,
    link         INTEGER NOT NULL DEFAULT 0,
    item         INTEGER NOT NULL DEFAULT 0,
    category     TEXT NOT NULL DEFAULT '',
    url          TEXT NOT NULL DEFAULT '',
    user_agent   TEXT NOT NULL DEFAULT '',
    network      TEXT NOT NULL DEFAULT '',  -- truncated to /24 or /48
    verdict      TEXT CHECK (
        verdict = 'human' OR verdict = 'proxy' OR verdict = 'machine' OR verdict = 'unknown'
    ),
    rule         TEXT                       -- what decided
) WITHOUT ROWID;
CREATE INDEX hits_message ON hits (run_id, recipient_id, at);
CREATE INDEX hits_unjudged ON hits (id) WHERE verdict IS NULL;

-- What is left of hits that were removed: how many there were, without whose.
CREATE TABLE hit_totals (
    run_id   INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    verdict  TEXT NOT NULL,                 -- empty: it was not judged yet
    messages INTEGER NOT NULL,
    total    INTEGER NOT NULL,
    PRIMARY KEY (run_id, kind, verdict)
) WITHOUT ROWID;

CREATE TABLE actions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT NOT NULL UNIQUE,      -- says a thing once: o:run:recipient, c:run:recipient:link:item, i:imported id
    recipient_id INTEGER NOT NULL REFERENCES recipients (id),
    kind         TEXT NOT NULL,
    category     TEXT,
    at           INTEGER NOT NULL,
    run_id       INTEGER,
    url          TEXT,
    why          TEXT,                      -- of an unsubscribe: the reason that was chosen
    words        TEXT,                      -- and what was said about it
    scored       BOOLEAN NOT NULL DEFAULT FALSE,
    revised      BOOLEAN NOT NULL DEFAULT FALSE, -- the judge changed it: an older entry of it may stand in the ledger
    counts       BOOLEAN NOT NULL DEFAULT TRUE  -- FALSE: it met a person without tracking consent, and never scores
);
CREATE INDEX actions_recipient ON actions (recipient_id, at, id);
CREATE INDEX actions_unscored ON actions (id) WHERE NOT scored;
-- Statements repeat its words one by one, see RETURNED in store/actions.rs.
CREATE INDEX actions_returned ON actions (run_id, kind)
    WHERE kind IN ('unsubscribe', 'bounce', 'soft_bounce', 'block', 'complaint', 'reply');

-- Mail that came back, as it arrived. A row is on disk before whoever brought it is told so.
CREATE TABLE inbound (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    digest       BLOB NOT NULL UNIQUE,      -- SHA-256 of envelope's recipient and bytes: says a mail once
    way          TEXT NOT NULL,             -- pipe, smtp, lmtp, or the mailbox's name
    arrived_at   INTEGER NOT NULL,
    sender       TEXT,                      -- of the envelope; empty: none; NULL: not told
    recipient    TEXT,                      -- of the envelope; NULL: not told
    size         INTEGER NOT NULL,          -- as it came; raw may be cut
    state        TEXT NOT NULL CHECK (state = 'waiting' OR state = 'handled' OR state = 'failed'),
    tries        INTEGER NOT NULL DEFAULT 0,
    due_at       INTEGER,                   -- waiting: not before
    handled_at   INTEGER,
    kind         TEXT,                      -- bounce, reply ...
    effect       TEXT,                      -- what was done: suppressed, noted, left ...
    told         TEXT,                      -- by what it was decided, or why it failed; no address
    run_id       INTEGER,
    recipient_id INTEGER,
    address_hash BLOB,                      -- keyed; of whom it speaks or who wrote it
    raw          BLOB                       -- last: it is long, and most look at the rest; NULL once its time is over, or its person erased
);
CREATE INDEX inbound_waiting ON inbound (due_at) WHERE state = 'waiting';
CREATE INDEX inbound_arrived ON inbound (arrived_at);
CREATE INDEX inbound_recipient ON inbound (recipient_id) WHERE recipient_id IS NOT NULL;
CREATE INDEX inbound_address ON inbound (address_hash) WHERE address_hash IS NOT NULL;

-- What receivers asked for by mail that came back: senders slow down there.
CREATE TABLE pleas (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    relay  TEXT NOT NULL,
    domain TEXT NOT NULL,
    reason TEXT NOT NULL                -- in codes
);
CREATE INDEX pleas_at ON pleas (at);

-- What is learnt ---------------------------------------------------------------------------------
-- f, f7 and fa are forward-decayed: points times 2^((at - landmark) / half-life), with the score's
-- half-life, seven days, and the affinities' half-life. The landmark and the rules stand in `facts`.

CREATE TABLE score_entries (
    recipient_id INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    action_id    INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    category     TEXT,
    points       REAL NOT NULL,
    f            REAL NOT NULL,
    f7           REAL NOT NULL,
    fa           REAL NOT NULL,
    PRIMARY KEY (recipient_id, at, action_id)
) WITHOUT ROWID;

CREATE TABLE profiles (
    recipient_id  INTEGER PRIMARY KEY REFERENCES recipients (id),
    f             REAL NOT NULL,
    f7            REAL NOT NULL,
    fa            REAL NOT NULL,            -- over all categories, those above zero
    points        REAL NOT NULL,            -- sum of |points|, for the tolerance of checks
    last_at       INTEGER NOT NULL,
    last_id       INTEGER NOT NULL,
    cools_at      INTEGER,                  -- when it falls below the threshold, if nothing happens; NULL while below
    cluster       TEXT,
    cluster_since INTEGER,
    cluster_until INTEGER,
    rose          INTEGER NOT NULL,         -- how many moments of each kind there were
    cooled        INTEGER NOT NULL,
    entered       INTEGER NOT NULL
);
CREATE INDEX profiles_f ON profiles (f);
CREATE INDEX profiles_cools ON profiles (cools_at) WHERE cools_at IS NOT NULL;
CREATE INDEX profiles_cluster ON profiles (cluster, cluster_until) WHERE cluster IS NOT NULL;

CREATE TABLE affinities (
    recipient_id INTEGER NOT NULL,
    category     TEXT NOT NULL,
    fa           REAL NOT NULL,
    PRIMARY KEY (recipient_id, category)
) WITHOUT ROWID;

-- Who was in which cluster when: [from_at, until_at); the last span's end is known in advance.
CREATE TABLE cluster_spans (
    recipient_id INTEGER NOT NULL,
    ordinal      INTEGER NOT NULL,
    cluster      TEXT NOT NULL,
    from_at      INTEGER NOT NULL,
    until_at     INTEGER NOT NULL,
    PRIMARY KEY (recipient_id, ordinal)
) WITHOUT ROWID;

-- The n-th crossing of a kind is one moment, even when a late action moves its instant.
CREATE TABLE moments (
    recipient_id INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind = 'rose' OR kind = 'cooled' OR kind = 'cluster'),
    ordinal      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    subject      TEXT NOT NULL,             -- the threshold or the cluster
    PRIMARY KEY (recipient_id, kind, ordinal)
) WITHOUT ROWID;
