-- One step of a worker as one call: endings in, claims out. Jobs are moved by the set, since each statement costs about
-- as much for one job as for ten. Rows are found by lists of their keys: a join could be planned the other way round.

-- Move jobs whose time has come among the ready ones, the earliest first; return how many. Their counts are the caller's.
CREATE FUNCTION move_due(p_now bigint, p_limit bigint) RETURNS TABLE (due_queue text, due_number bigint, has_needs boolean)
LANGUAGE sql AS $$
    WITH due AS (
        -- by a list, which is looked up in the index: a join could be planned to read the table
        DELETE FROM delayed WHERE job_id = ANY (ARRAY(
            SELECT job_id FROM delayed WHERE run_at <= p_now ORDER BY run_at, job_id LIMIT p_limit FOR UPDATE SKIP LOCKED
        )) RETURNING job_id, queue, priority, run_at, needs
    ), moved AS (
        INSERT INTO ready (job_id, queue, priority, due_at, needs)
        SELECT job_id, queue, priority, run_at, needs FROM due
        RETURNING queue, needs
    )
    SELECT queue, count(*), bool_or(needs IS NOT NULL) FROM moved GROUP BY queue
$$;

-- Return the queues that have ready jobs without needs, by name: one probe of the index each.
CREATE FUNCTION ready_queues() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE found AS (
        (SELECT queue FROM ready WHERE needs IS NULL ORDER BY queue LIMIT 1)
        UNION ALL
        SELECT (SELECT r.queue FROM ready AS r WHERE r.needs IS NULL AND r.queue > found.queue ORDER BY r.queue LIMIT 1)
        FROM found WHERE found.queue IS NOT NULL
    )
    SELECT queue FROM found WHERE queue IS NOT NULL
$$;

-- Return how many jobs of a queue may be claimed now, at most p_slots. A limited queue's row stays locked until the end
-- of the transaction, so that two who count its running jobs do it one after the other; where it is locked, none.
CREATE FUNCTION room_of(p_queue text, p_slots bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_paused bigint;
    v_limit bigint;
    v_running bigint;
BEGIN
    SELECT is_paused, running_limit INTO v_paused, v_limit FROM queues WHERE name = p_queue;
    IF NOT FOUND THEN
        RETURN p_slots;
    ELSIF v_paused = 1 OR v_limit = 0 THEN
        RETURN 0;
    ELSIF v_limit IS NULL THEN
        RETURN p_slots;
    END IF;
    SELECT running_limit INTO v_limit FROM queues WHERE name = p_queue FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    -- a statement of its own, so with a snapshot that was taken under the lock
    SELECT count(*) INTO v_running FROM running WHERE queue = p_queue;
    RETURN greatest(0, least(p_slots, COALESCE(v_limit, p_slots + v_running) - v_running));
END
$$;

-- The step of worker p_worker at p_now, in unix milliseconds. The arrays p_* have one element for each ending; p_state is
-- what the job becomes, with p_run_at if it waits. Rows of the result, by kind: 'recorded' for each ending that was
-- written (one whose attempt is closed already is left out), 'claimed' for each claim, 'lanes' instead of claims if jobs
-- with needs are to be looked at, as is done once for each sum of lanes_epoch (p_epoch: of the last look), 'next' with the
-- due_at of the next delayed job, 'settle' if consequences of ends are still to be drawn.
CREATE FUNCTION turn(
    p_worker bigint, p_now bigint, p_slots bigint, p_wanted text[], p_epoch bigint,
    p_attempt bigint[], p_ended_at bigint[], p_run_ms bigint[], p_outcome text[], p_exit_code bigint[],
    p_signal bigint[], p_error text[], p_cpu_ms bigint[], p_max_rss_bytes bigint[], p_last_line text[],
    p_fingerprint bigint[], p_output_bytes bigint[], p_output bytea[],
    p_state text[], p_run_at bigint[], p_backoff_ms bigint[], p_attempts bigint[], p_interrupts bigint[],
    p_reason text[]
) RETURNS TABLE (kind text, attempt_id bigint, number bigint, due_at bigint, job jobs)
-- its statements are planned for good, perhaps when the tables were still so small that to read them whole cost less
LANGUAGE plpgsql ROWS 20 SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
    v_ended record;
    v_token record;
    v_worker record;
    v_taken ready[];
    v_started record;
    v_queues text[] := '{}';
    v_kinds text[] := '{}';
    v_numbers bigint[] := '{}';
    v_is_freed boolean := false;
    v_next bigint;
    v_is_settling boolean;
BEGIN
    FOR v_ended IN
        WITH closed AS (
            -- by a list, which is looked up in the index, and locked in the order in which others lock them
            DELETE FROM running AS r WHERE r.attempt_id = ANY (ARRAY(
                SELECT r.attempt_id FROM running AS r WHERE r.attempt_id = ANY (p_attempt) ORDER BY r.job_id FOR UPDATE
            )) RETURNING r.*
        ), ended AS MATERIALIZED (
            SELECT c.*, e.* FROM closed AS c JOIN unnest(
                p_attempt, p_ended_at, p_run_ms, p_outcome, p_exit_code, p_signal, p_error, p_cpu_ms, p_max_rss_bytes,
                p_last_line, p_fingerprint, p_output_bytes, p_output, p_state, p_run_at, p_backoff_ms, p_attempts,
                p_interrupts, p_reason
            ) AS e (
                attempt, ended_at, run_ms, outcome, exit_code, signal, error, cpu_ms, max_rss_bytes,
                last_line, fingerprint, output_bytes, output, state, run_at, backoff_ms, attempts,
                interrupts, reason
            ) ON e.attempt = c.attempt_id
            ORDER BY c.job_id
        ), kept AS (
            INSERT INTO attempts (id, job_id, number, worker_id, host_id, started_at, ended_at, run_ms, outcome,
                                  exit_code, signal, error, stop_requested, output_bytes, output, cpu_ms, max_rss_bytes,
                                  last_line, fingerprint, units)
            SELECT e.attempt_id, e.job_id, e.number, e.worker_id, e.host_id, e.started_at, e.ended_at, e.run_ms, e.outcome,
                   e.exit_code, e.signal, e.error, e.stop_requested, e.output_bytes, e.output, e.cpu_ms, e.max_rss_bytes,
                   e.last_line, e.fingerprint, e.units
            FROM ended AS e
        )
        UPDATE jobs AS j SET
            state = CASE e.state WHEN 'pending' THEN 'open' ELSE e.state END,
            backoff_ms = e.backoff_ms, attempts = e.attempts, interrupts = e.interrupts,
            starts = e.number, since = e.ended_at, due_at = COALESCE(e.run_at, p_now),
            attempt_id = e.attempt_id, started_at = e.started_at, finished_at = e.ended_at,
            run_ms = e.run_ms, outcome = e.outcome, exit_code = e.exit_code, signal = e.signal,
            error = e.reason, cpu_ms = e.cpu_ms, max_rss_bytes = e.max_rss_bytes, last_line = e.last_line,
            fingerprint = e.fingerprint
        FROM ended AS e WHERE j.id = e.job_id
        RETURNING e.attempt_id, e.number, e.state, e.run_at, j.id, j.queue, j.priority, j.needs
    LOOP
        IF v_ended.state <> 'pending' THEN
            v_kinds := v_kinds || v_ended.state;
        ELSIF v_ended.run_at IS NULL THEN
            INSERT INTO ready (job_id, queue, priority, due_at, needs)
            VALUES (v_ended.id, v_ended.queue, v_ended.priority, p_now, v_ended.needs);
            v_kinds := v_kinds || 'ready'::text;
        ELSE
            INSERT INTO delayed (job_id, queue, priority, run_at, needs)
            VALUES (v_ended.id, v_ended.queue, v_ended.priority, v_ended.run_at, v_ended.needs);
            v_kinds := v_kinds || 'delayed'::text;
        END IF;
        v_is_freed := v_is_freed OR v_ended.needs IS NOT NULL;
        v_queues := v_queues || v_ended.queue || v_ended.queue;
        v_kinds := v_kinds || 'running'::text;
        v_numbers := v_numbers || 1::bigint || (-1)::bigint;
        kind := 'recorded'; attempt_id := v_ended.attempt_id; number := v_ended.number; due_at := NULL; job := NULL;
        RETURN NEXT;
    END LOOP;

    SELECT (SELECT min(d.run_at) FROM delayed AS d), EXISTS (SELECT 1 FROM settling) INTO v_next, v_is_settling;
    IF v_next <= p_now THEN
        FOR v_token IN SELECT * FROM move_due(p_now, 500) LOOP
            v_queues := v_queues || v_token.due_queue || v_token.due_queue;
            v_kinds := v_kinds || 'ready'::text || 'delayed'::text;
            v_numbers := v_numbers || v_token.due_number || -v_token.due_number;
            v_is_freed := v_is_freed OR v_token.has_needs;
        END LOOP;
        SELECT min(d.run_at) INTO v_next FROM delayed AS d;
    END IF;

    IF p_slots > 0 THEN
        -- who pauses or limits queues holds this lock alone: what is claimed by then is counted, and nothing is later
        PERFORM pg_advisory_xact_lock_shared(1363561543);
        -- a host that was given up claims nothing: its commands are ended, and others take its open attempts for lost;
        -- and no worker claims on a server that took another's place, until it is accepted
        SELECT w.host_id, w.boot_id, w.pid_namespace, (SELECT sum(l.n) FROM lanes_epoch AS l) AS epoch INTO v_worker
        FROM workers AS w JOIN hosts AS h ON h.id = w.host_id AND h.state = 'live'
        WHERE w.id = p_worker AND is_known_server()
            AND NOT EXISTS (SELECT 1 FROM facts AS f WHERE f.key = 'is_paused' AND f.value = 1);
        IF NOT FOUND THEN
            p_slots := 0;
        ELSIF v_is_freed OR v_worker.epoch IS DISTINCT FROM p_epoch THEN
            -- a job that needs resources may start: the worker chooses, in a transaction of its own
            kind := 'lanes'; attempt_id := NULL; number := NULL; due_at := NULL; job := NULL;
            RETURN NEXT;
            p_slots := 0;
        END IF;
    END IF;
    IF p_slots > 0 THEN
        WITH taken AS (
            -- by a list, as above
            DELETE FROM ready AS r WHERE r.job_id = ANY (ARRAY(
                SELECT t.job_id FROM (
                    SELECT q.queue, CASE WHEN s.is_paused = 1 OR s.running_limit IS NOT NULL
                        THEN room_of(q.queue, p_slots) ELSE p_slots END AS room
                    FROM ready_queues() AS q (queue) LEFT JOIN queues AS s ON s.name = q.queue
                    WHERE p_wanted = '{}' OR q.queue = ANY (p_wanted)
                    OFFSET 0
                ) AS q
                CROSS JOIN LATERAL (
                    SELECT r.job_id, r.priority FROM ready AS r WHERE r.queue = q.queue AND r.needs IS NULL
                        AND q.room > 0
                    ORDER BY r.priority DESC, r.job_id LIMIT q.room FOR UPDATE SKIP LOCKED
                ) AS t
                ORDER BY t.priority DESC, t.job_id LIMIT p_slots
            )) RETURNING r AS token
        )
        SELECT array_agg(t.token) INTO v_taken FROM taken AS t;
        -- a statement of its own, which sees the jobs as they are under the locks
        FOR v_started IN
            WITH chosen AS MATERIALIZED (
                SELECT t.*, l.job FROM unnest(v_taken) AS t
                CROSS JOIN LATERAL (SELECT j AS job FROM jobs AS j WHERE j.id = t.job_id OFFSET 0) AS l
            ), started AS (
                INSERT INTO running (job_id, number, queue, priority, due_at, worker_id, host_id, started_at, boot_id,
                                     pid_namespace)
                SELECT c.job_id, (c.job).starts + 1, c.queue, c.priority, c.due_at, p_worker, v_worker.host_id,
                       -- not before what it needed had ended, of which another host may have a later reading of the clock
                       greatest(p_now, c.due_at), v_worker.boot_id, v_worker.pid_namespace
                FROM chosen AS c ORDER BY c.priority DESC, c.job_id
                RETURNING attempt_id, number, job_id
            )
            SELECT s.attempt_id, s.number, c.queue, c.due_at, c.job FROM started AS s JOIN chosen AS c ON c.job_id = s.job_id
            ORDER BY s.attempt_id
        LOOP
            v_queues := v_queues || v_started.queue || v_started.queue;
            v_kinds := v_kinds || 'running'::text || 'ready'::text;
            v_numbers := v_numbers || 1::bigint || (-1)::bigint;
            kind := 'claimed'; attempt_id := v_started.attempt_id; number := v_started.number;
            due_at := v_started.due_at; job := v_started.job;
            RETURN NEXT;
        END LOOP;
    END IF;

    IF v_numbers <> '{}' THEN
        PERFORM add_counts(p_worker, v_queues, v_kinds, v_numbers);
    END IF;
    IF v_is_freed THEN
        PERFORM bump_lanes(p_worker);
    END IF;
    kind := 'next'; attempt_id := NULL; number := NULL; due_at := v_next; job := NULL;
    RETURN NEXT;
    IF v_is_settling THEN
        kind := 'settle'; due_at := NULL;
        RETURN NEXT;
    END IF;
END
$$;

-- Undo claims whose commands could not be started: their jobs are ready again. Return the attempts that are to be stopped,
-- which are left as they are.
CREATE FUNCTION give_back(p_attempts bigint[], p_shard bigint) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    v_running running%ROWTYPE;
    v_kept bigint[] := '{}';
    v_queues text[] := '{}';
    v_kinds text[] := '{}';
    v_numbers bigint[] := '{}';
    v_is_freed boolean := false;
BEGIN
    FOR v_running IN SELECT * FROM running WHERE attempt_id = ANY (p_attempts) ORDER BY job_id FOR UPDATE LOOP
        IF v_running.stop_requested IS NOT NULL THEN
            v_kept := v_kept || v_running.attempt_id;
            CONTINUE;
        END IF;
        DELETE FROM running WHERE attempt_id = v_running.attempt_id;
        INSERT INTO ready (job_id, queue, priority, due_at, needs)
        SELECT v_running.job_id, v_running.queue, v_running.priority, v_running.due_at, j.needs
        FROM jobs AS j WHERE j.id = v_running.job_id;
        v_is_freed := v_is_freed OR v_running.units IS NOT NULL;
        v_queues := v_queues || v_running.queue || v_running.queue;
        v_kinds := v_kinds || 'ready'::text || 'running'::text;
        v_numbers := v_numbers || 1::bigint || (-1)::bigint;
    END LOOP;
    PERFORM add_counts(p_shard, v_queues, v_kinds, v_numbers);
    IF v_is_freed THEN
        PERFORM bump_lanes(p_shard);
    END IF;
    RETURN v_kept;
END
$$;
