-- One step of a worker as one call: endings in, claims out. Statements by primary key in a loop: a join could be planned
-- the other way round.

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
LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
DECLARE
    v_running running%ROWTYPE;
    v_job jobs%ROWTYPE;
    v_worker workers%ROWTYPE;
    v_token record;
    v_queues text[] := '{}';
    v_kinds text[] := '{}';
    v_numbers bigint[] := '{}';
    v_is_freed boolean := false;
    v_epoch bigint;
BEGIN
    FOR i IN 1 .. COALESCE(array_length(p_attempt, 1), 0) LOOP
        DELETE FROM running AS r WHERE r.attempt_id = p_attempt[i] RETURNING * INTO v_running;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO attempts (id, job_id, number, worker_id, host_id, started_at, ended_at, run_ms, outcome, exit_code,
                              signal, error, stop_requested, output_bytes, output, cpu_ms, max_rss_bytes, last_line,
                              fingerprint, units)
        VALUES (v_running.attempt_id, v_running.job_id, v_running.number, v_running.worker_id, v_running.host_id,
                v_running.started_at, p_ended_at[i], p_run_ms[i], p_outcome[i], p_exit_code[i], p_signal[i], p_error[i],
                v_running.stop_requested, p_output_bytes[i], p_output[i], p_cpu_ms[i], p_max_rss_bytes[i],
                p_last_line[i], p_fingerprint[i], v_running.units);
        UPDATE jobs AS j SET
            state = CASE p_state[i] WHEN 'pending' THEN 'open' ELSE p_state[i] END,
            backoff_ms = p_backoff_ms[i], attempts = p_attempts[i], interrupts = p_interrupts[i],
            starts = v_running.number, since = p_ended_at[i], due_at = COALESCE(p_run_at[i], p_now),
            attempt_id = v_running.attempt_id, started_at = v_running.started_at, finished_at = p_ended_at[i],
            run_ms = p_run_ms[i], outcome = p_outcome[i], exit_code = p_exit_code[i], signal = p_signal[i],
            error = p_reason[i], cpu_ms = p_cpu_ms[i], max_rss_bytes = p_max_rss_bytes[i], last_line = p_last_line[i],
            fingerprint = p_fingerprint[i]
        WHERE j.id = v_running.job_id RETURNING * INTO v_job;
        IF p_state[i] <> 'pending' THEN
            v_kinds := v_kinds || p_state[i];
        ELSIF p_run_at[i] IS NULL THEN
            INSERT INTO ready (job_id, queue, priority, due_at, needs)
            VALUES (v_job.id, v_job.queue, v_job.priority, p_now, v_job.needs);
            v_kinds := v_kinds || 'ready'::text;
        ELSE
            INSERT INTO delayed (job_id, queue, priority, run_at, needs)
            VALUES (v_job.id, v_job.queue, v_job.priority, p_run_at[i], v_job.needs);
            v_kinds := v_kinds || 'delayed'::text;
        END IF;
        v_is_freed := v_is_freed OR v_job.needs IS NOT NULL;
        v_queues := v_queues || v_job.queue || v_job.queue;
        v_kinds := v_kinds || 'running'::text;
        v_numbers := v_numbers || 1::bigint || (-1)::bigint;
        kind := 'recorded'; attempt_id := p_attempt[i]; number := v_running.number; due_at := NULL; job := NULL;
        RETURN NEXT;
    END LOOP;

    FOR v_token IN SELECT * FROM move_due(p_now, 500) LOOP
        v_queues := v_queues || v_token.due_queue || v_token.due_queue;
        v_kinds := v_kinds || 'ready'::text || 'delayed'::text;
        v_numbers := v_numbers || v_token.due_number || -v_token.due_number;
        v_is_freed := v_is_freed OR v_token.has_needs;
    END LOOP;

    -- a host that was given up claims nothing: its commands are ended, and others take its open attempts for lost
    SELECT w.* INTO v_worker FROM workers AS w JOIN hosts AS h ON h.id = w.host_id AND h.state = 'live'
    WHERE w.id = p_worker;
    -- and no worker claims on a server that took another's place, until it is accepted
    IF p_slots > 0 AND FOUND AND is_known_server() THEN
        -- who pauses or limits queues holds this lock alone: what is claimed by then is counted, and nothing is later
        PERFORM pg_advisory_xact_lock_shared(1363561543);
        IF EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1) THEN
            p_slots := 0;
        END IF;
        SELECT sum(l.n) INTO v_epoch FROM lanes_epoch AS l;
        IF p_slots > 0 AND (v_is_freed OR v_epoch IS DISTINCT FROM p_epoch) THEN
            -- a job that needs resources may start: the worker chooses, in a transaction of its own
            kind := 'lanes'; attempt_id := NULL; number := NULL; due_at := NULL; job := NULL;
            RETURN NEXT;
            p_slots := 0;
        END IF;
        FOR v_token IN
            SELECT t.* FROM (
                SELECT q.queue, room_of(q.queue, p_slots) AS room FROM ready_queues() AS q (queue)
                WHERE p_wanted = '{}' OR q.queue = ANY (p_wanted)
                OFFSET 0
            ) AS q
            CROSS JOIN LATERAL (
                SELECT r.job_id, r.queue, r.priority, r.due_at FROM ready AS r WHERE r.queue = q.queue AND r.needs IS NULL
                    AND q.room > 0
                ORDER BY r.priority DESC, r.job_id LIMIT q.room FOR UPDATE SKIP LOCKED
            ) AS t
            ORDER BY t.priority DESC, t.job_id LIMIT p_slots
        LOOP
            DELETE FROM ready AS r WHERE r.job_id = v_token.job_id;
            SELECT * INTO v_job FROM jobs AS j WHERE j.id = v_token.job_id;
            INSERT INTO running (job_id, number, queue, priority, due_at, worker_id, host_id, started_at, boot_id,
                                 pid_namespace)
            VALUES (v_job.id, v_job.starts + 1, v_token.queue, v_token.priority, v_token.due_at, p_worker,
                    -- not before what it needed had ended, of which another host may have a later reading of the clock
                    v_worker.host_id, greatest(p_now, v_token.due_at), v_worker.boot_id, v_worker.pid_namespace)
            RETURNING * INTO v_running;
            v_queues := v_queues || v_token.queue || v_token.queue;
            v_kinds := v_kinds || 'running'::text || 'ready'::text;
            v_numbers := v_numbers || 1::bigint || (-1)::bigint;
            kind := 'claimed'; attempt_id := v_running.attempt_id; number := v_running.number;
            due_at := v_token.due_at; job := v_job;
            RETURN NEXT;
        END LOOP;
    END IF;

    IF v_numbers <> '{}' THEN
        PERFORM add_counts(p_worker, v_queues, v_kinds, v_numbers);
    END IF;
    IF v_is_freed THEN
        PERFORM bump_lanes(p_worker);
    END IF;
    kind := 'next'; attempt_id := NULL; number := NULL; job := NULL;
    SELECT min(d.run_at) INTO due_at FROM delayed AS d;
    RETURN NEXT;
    IF EXISTS (SELECT 1 FROM settling) THEN
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
