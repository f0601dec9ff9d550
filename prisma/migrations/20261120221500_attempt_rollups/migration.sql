-- Roll-ups of attempts, made from the rows that are there already; from now on the drain adds to them.

-- Without the ledger's head no server commits rows between the readings below.
SELECT "seq" FROM "ledger_head" WHERE "id" = 1 FOR UPDATE;

UPDATE "rollup_series" SET "provider_id" = "providers"."id"
FROM "providers" WHERE "providers"."slug" = "rollup_series"."provider_slug";

-- An attempt of a completion that has not ended yet has only its own time, and no owner.
WITH "ended" AS (
    SELECT
        encode(sha256(convert_to(jsonb_build_array('ATTEMPT', a."status", c."user_id", c."api_key_id", c."route_id",
            a."provider_id", a."provider_slug", coalesce(a."answered_model", a."model"))::text, 'UTF8')), 'hex') AS "key",
        a."status", c."user_id", c."api_key_id", c."route_id", a."provider_id", a."provider_slug",
        coalesce(a."answered_model", a."model") AS "model",
        coalesce(c."started_at", a."started_at") AS "started_at",
        a."input_tokens", a."output_tokens", a."cached_tokens", a."reasoning_tokens", a."cost", a."latency_ms",
        a."time_to_first_token_ms",
        a."cost" IS NULL AND (a."input_tokens" IS NOT NULL OR a."output_tokens" IS NOT NULL) AS "is_unpriced",
        -- latencySlot of src/gateway/ledger/histogram.ts
        CASE WHEN a."latency_ms" < 1 THEN 0
            ELSE ceil(ln(a."latency_ms"::float8) / ln((1 + 0.05::float8) / (1 - 0.05::float8)) - 1e-9) + 1
        END::smallint AS "slot"
    FROM "attempts" a LEFT JOIN "completions" c ON c."id" = a."completion_id"
), "series" AS (
    INSERT INTO "rollup_series"
        ("key", "subject", "status", "user_id", "api_key_id", "route_id", "provider_id", "provider_slug", "model")
    SELECT DISTINCT
        "key", 'ATTEMPT'::"RollupSubject", "status", "user_id", "api_key_id", "route_id", "provider_id",
        "provider_slug", "model"
    FROM "ended"
    RETURNING "id", "key"
), "placed" AS (
    SELECT "grain", date_trunc("unit", "started_at", 'UTC') AS "bucket", "series"."id" AS "series_id", "ended".*
    FROM "ended" JOIN "series" USING ("key")
        CROSS JOIN (VALUES ('MINUTE'::"RollupGrain", 'minute'), ('HOUR', 'hour')) AS "grains" ("grain", "unit")
), "sums" AS (
    INSERT INTO "rollups"
        ("grain", "bucket", "series_id", "requests", "input_tokens", "output_tokens", "cached_tokens",
        "reasoning_tokens", "cost", "unpriced", "latency_ms", "time_to_first_token_ms", "timed_first_tokens")
    SELECT
        "grain", "bucket", "series_id", count(*), coalesce(sum("input_tokens"), 0), coalesce(sum("output_tokens"), 0),
        coalesce(sum("cached_tokens"), 0), coalesce(sum("reasoning_tokens"), 0), coalesce(sum("cost"), 0),
        count(*) FILTER (WHERE "is_unpriced"), sum("latency_ms"), coalesce(sum("time_to_first_token_ms"), 0),
        count("time_to_first_token_ms")
    FROM "placed" GROUP BY "grain", "bucket", "series_id"
)
INSERT INTO "rollup_latencies" ("grain", "bucket", "series_id", "slot", "count")
SELECT "grain", "bucket", "series_id", "slot", count(*) FROM "placed" GROUP BY "grain", "bucket", "series_id", "slot";
