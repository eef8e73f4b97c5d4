"""What is asked of the tables, in SQL. The views hold the newest revision of each window."""

# A crash counts more than a stop; the earliest reason is the cause.
JOBS = """
WITH size AS (
  SELECT job_id, count(DISTINCT window_start_ns) AS windows, sum(lines_before) AS lines,
         sum(tokens_before) AS tokens_before, sum(tokens_after) AS tokens_after
  FROM traces WHERE $job IS NULL OR job_id = $job GROUP BY job_id
),
told AS (
  SELECT job_id, min(outcome) FILTER (outcome <> '') AS outcome,
         coalesce(max(started_ns), 0) AS started_last,
         coalesce(min(started_ns) FILTER (started_ns > 0), 0) AS started_ns,
         coalesce(max(ended_ns), 0) AS ended_ns,
         coalesce(min(first_time_ns) FILTER (first_time_ns > 0), 0) AS first_time_ns,
         greatest(coalesce(max(last_time_ns), 0), max(window_start_ns)) AS last_time_ns,
         CASE min(outcome) FILTER (outcome <> '')
           WHEN 'crashed' THEN arg_min(exit_code, window_start_ns) FILTER (outcome = 'crashed' AND exit_code IS NOT NULL)
           ELSE coalesce(arg_min(exit_code, window_start_ns) FILTER (exit_code <> 0), min(exit_code))
         END AS exit_code,
         arg_min(reason, window_start_ns) FILTER (reason <> '') AS reason,
         max(accelerator) AS accelerator, max(model) AS model, max("user") AS "user",
         coalesce(max(world_size), 0) AS world_size
  FROM jobs WHERE $job IS NULL OR job_id = $job GROUP BY job_id
)
SELECT told.*, size.* EXCLUDE job_id FROM told LEFT JOIN size USING (job_id) ORDER BY last_time_ns DESC, job_id
"""
PROCESSES = """
SELECT job_id, window_start_ns, part, p.process_uuid, coalesce(p."rank", -1), p."first", p."last"
FROM (SELECT job_id, window_start_ns, part, unnest(processes) AS p FROM jobs WHERE list_contains(?, job_id))
"""
# What an answer is made from: a trace that has its row in both tables.
BUILT = """
SELECT job_id, window_start_ns, part, coalesce(jobs.parts, 0), jobs.window_end_ns
FROM traces JOIN jobs USING (job_id, window_start_ns, part, revision) WHERE list_contains(?, job_id)
"""
# The topic of a letter about a window is archive/<job>/<start>; what a step before the archive refused has the topic of its record.
FAILED = """
SELECT topic, code, reason FROM dead_letters
WHERE code IN ('corrupt-archive', 'cannot-assemble', 'stage-failed', 'cannot-build') AND topic LIKE 'archive/%'
ORDER BY code, reason
"""
# Records in which the job's id stands, as bytes; and how many do not tell who sent them.
REFUSED = """
SELECT original, code FROM dead_letters WHERE stage = 'Decode' AND contains(hex(original), hex(?))
"""
NAMELESS = """
SELECT count(*) FROM dead_letters
WHERE stage = 'Decode' AND code IN ('not-a-batch', 'other-schema', 'framed', 'damaged-file', 'missing-process-uuid')
"""
TRACES = "SELECT DISTINCT window_start_ns, part, revision FROM traces WHERE job_id = ? ORDER BY ALL"
CONTAINERS = """
SELECT window_start_ns, part, container, container_uri FROM traces
WHERE job_id = ? AND (octet_length(container) > 0 OR container_uri <> '') ORDER BY ALL
"""
LEFT_OUT = """
SELECT note.reason, count(*) FROM (SELECT unnest(notes) AS note FROM traces WHERE job_id = ?)
WHERE note.stage = 'compress' GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 20
"""
