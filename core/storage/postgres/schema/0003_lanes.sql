-- The claim where ready jobs need resources: a transaction of its own behind a turn, in which the worker chooses. A lane is
-- the ready jobs of one queue with the same needs. While no job has any needs, turn does without all of this.

-- Count up for a change after which a job with needs may start; a row a shard, so that writers do not wait for each other.
CREATE FUNCTION bump_lanes(p_shard bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO lanes_epoch AS l (shard, n) VALUES ((p_shard % 64)::smallint, 1)
    ON CONFLICT (shard) DO UPDATE SET n = l.n + 1
$$;

-- Return the lanes, by queue and needs: one probe of the index each.
CREATE FUNCTION ready_lanes() RETURNS TABLE (queue text, needs text)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE found AS (
        (SELECT r.queue, r.needs FROM ready AS r WHERE r.needs IS NOT NULL ORDER BY r.queue, r.needs LIMIT 1)
        UNION ALL
        SELECT t.queue, t.needs FROM found CROSS JOIN LATERAL (
            SELECT r.queue, r.needs FROM ready AS r
            WHERE r.needs IS NOT NULL AND (r.queue, r.needs) > (found.queue, found.needs)
            ORDER BY r.queue, r.needs LIMIT 1
        ) AS t
    )
    SELECT found.queue, found.needs FROM found
$$;

-- What a choice begins with, for a worker of a live host that may claim, else nothing. By kind: 'epoch' with a number to
-- remember; 'lane' with queue and needs; 'queue' with its name and how many of its jobs may start (NULL: any number), for
-- each that is open and wanted; 'resource' with its name and capacity (NULL: not set), is_mine = whether it was locked for
-- this choice, which it is until the end of the transaction; 'per host' is a
-- resource that is counted by host; 'units' that running jobs have, is_mine = on this host.
CREATE FUNCTION lane_look(p_worker bigint, p_slots bigint, p_wanted text[])
RETURNS TABLE (kind text, name text, needs text, number bigint, is_mine boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_token text;
    v_names text[];
    v_locked text[];
BEGIN
    SELECT h.token INTO v_token FROM workers AS w JOIN hosts AS h ON h.id = w.host_id AND h.state = 'live'
    WHERE w.id = p_worker;
    IF NOT FOUND OR NOT is_known_server() THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock_shared(1363561543);
    IF EXISTS (SELECT 1 FROM facts WHERE key = 'is_paused' AND value = 1) THEN
        RETURN;
    END IF;
    -- before all that it stands for is read
    RETURN QUERY SELECT 'epoch', NULL::text, NULL::text, COALESCE(sum(l.n), 0)::bigint, true FROM lanes_epoch AS l;
    SELECT COALESCE(array_agg(DISTINCT k.name), '{}') INTO v_names
    FROM ready_lanes() AS l CROSS JOIN LATERAL jsonb_object_keys(l.needs::jsonb) AS k (name);
    SELECT COALESCE(array_agg(r.name), '{}') INTO v_locked FROM (
        SELECT r.name FROM resources AS r WHERE r.name = ANY (v_names) ORDER BY r.name FOR NO KEY UPDATE SKIP LOCKED
    ) AS r;
    -- statements of their own, so with snapshots that were taken under the locks
    RETURN QUERY SELECT 'lane', l.queue, l.needs, NULL::bigint, true FROM ready_lanes() AS l;
    RETURN QUERY SELECT CASE r.is_per_host WHEN 1 THEN 'per host' ELSE 'resource' END, r.name, NULL::text, r.capacity,
        r.name = ANY (v_locked) FROM resources AS r WHERE r.name = ANY (v_names);
    RETURN QUERY SELECT 'units', NULL::text, r.units, NULL::bigint, COALESCE(h.token = v_token, false)
        FROM running AS r LEFT JOIN hosts AS h ON h.id = r.host_id WHERE r.units IS NOT NULL;
    RETURN QUERY SELECT 'queue', q.queue, NULL::text,
        CASE WHEN s.running_limit IS NULL AND COALESCE(s.is_paused, 0) = 0 THEN NULL ELSE room_of(q.queue, p_slots) END,
        true
        FROM (SELECT r.queue FROM ready_queues() AS r (queue) UNION SELECT l.queue FROM ready_lanes() AS l) AS q
        LEFT JOIN queues AS s ON s.name = q.queue
        WHERE p_wanted = '{}' OR q.queue = ANY (p_wanted);
END
$$;

-- Return up to p_limits[i] ready jobs of queue p_queues[i] with needs p_needs[i] (NULL: without any), the first ones. Those
-- without needs are locked; the others are safe behind the locks of what they need.
CREATE FUNCTION lane_heads(p_queues text[], p_needs text[], p_limits bigint[])
RETURNS TABLE (rank bigint, job_id bigint, queue text, needs text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    FOR i IN 1 .. COALESCE(array_length(p_queues, 1), 0) LOOP
        IF p_needs[i] IS NULL THEN
            RETURN QUERY SELECT -r.priority, r.job_id, r.queue, NULL::text FROM ready AS r
                WHERE r.queue = p_queues[i] AND r.needs IS NULL
                ORDER BY r.priority DESC, r.job_id LIMIT p_limits[i] FOR UPDATE SKIP LOCKED;
        ELSE
            RETURN QUERY SELECT -r.priority, r.job_id, r.queue, r.needs FROM ready AS r
                WHERE r.queue = p_queues[i] AND r.needs = p_needs[i]
                ORDER BY r.priority DESC, r.job_id LIMIT p_limits[i];
        END IF;
    END LOOP;
END
$$;

-- Start the attempts of the ready jobs p_jobs, with p_units[i] of what each needs; rows as of turn. A job that another
-- transaction has locked or taken is left out.
CREATE FUNCTION lane_take(p_worker bigint, p_now bigint, p_jobs bigint[], p_units text[])
RETURNS TABLE (kind text, attempt_id bigint, number bigint, due_at bigint, job jobs)
LANGUAGE plpgsql ROWS 20 AS $$
#variable_conflict use_column
DECLARE
    v_running running%ROWTYPE;
    v_job jobs%ROWTYPE;
    v_worker workers%ROWTYPE;
    v_token ready%ROWTYPE;
    v_queues text[] := '{}';
    v_kinds text[] := '{}';
    v_numbers bigint[] := '{}';
BEGIN
    SELECT w.* INTO v_worker FROM workers AS w WHERE w.id = p_worker;
    FOR i IN 1 .. COALESCE(array_length(p_jobs, 1), 0) LOOP
        SELECT * INTO v_token FROM ready AS r WHERE r.job_id = p_jobs[i] FOR UPDATE SKIP LOCKED;
        CONTINUE WHEN NOT FOUND;
        DELETE FROM ready AS r WHERE r.job_id = v_token.job_id;
        SELECT * INTO v_job FROM jobs AS j WHERE j.id = v_token.job_id;
        INSERT INTO running (job_id, number, queue, priority, due_at, worker_id, host_id, started_at, boot_id,
                             pid_namespace, units)
        VALUES (v_job.id, v_job.starts + 1, v_token.queue, v_token.priority, v_token.due_at, p_worker,
                v_worker.host_id, greatest(p_now, v_token.due_at), v_worker.boot_id, v_worker.pid_namespace, p_units[i])
        RETURNING * INTO v_running;
        v_queues := v_queues || v_token.queue || v_token.queue;
        v_kinds := v_kinds || 'running'::text || 'ready'::text;
        v_numbers := v_numbers || 1::bigint || (-1)::bigint;
        kind := 'claimed'; attempt_id := v_running.attempt_id; number := v_running.number;
        due_at := v_token.due_at; job := v_job;
        RETURN NEXT;
    END LOOP;
    IF v_numbers <> '{}' THEN
        PERFORM add_counts(p_worker, v_queues, v_kinds, v_numbers);
    END IF;
END
$$;
