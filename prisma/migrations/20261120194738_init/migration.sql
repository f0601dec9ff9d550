-- CreateEnum
CREATE TYPE "Role" AS ENUM ('ADMIN', 'USER');

-- CreateEnum
CREATE TYPE "Tier" AS ENUM ('FREE', 'STARTER', 'PROFESSIONAL', 'ENTERPRISE');

-- CreateEnum
CREATE TYPE "ProviderKind" AS ENUM ('OPENAI', 'ANTHROPIC', 'GOOGLE', 'OPENROUTER', 'GROQ', 'TOGETHER', 'MISTRAL', 'COHERE', 'HUGGINGFACE', 'CUSTOM', 'SANDBOX');

-- CreateEnum
CREATE TYPE "RouteMode" AS ENUM ('AUTO', 'SPECIFIC');

-- CreateEnum
CREATE TYPE "RequestStatus" AS ENUM ('SUCCEEDED', 'FAILED', 'CANCELLED', 'INDETERMINATE');

-- CreateEnum
CREATE TYPE "RollupGrain" AS ENUM ('MINUTE', 'HOUR');

-- CreateTable
CREATE TABLE "users" (
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT,
    "password_hash" TEXT NOT NULL,
    "role" "Role" NOT NULL DEFAULT 'USER',
    "tier" "Tier" NOT NULL DEFAULT 'FREE',
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revision" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" UUID NOT NULL,
    "owner_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "hash" BYTEA NOT NULL,
    "hint" TEXT NOT NULL,
    "is_admin" BOOLEAN NOT NULL DEFAULT false,
    "allowed_routes" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "rate_limit_per_minute" INTEGER,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "expires_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "revision" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "accounts_head" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "revision" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "accounts_head_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "accounts_head_is_one_row" CHECK ("id" = 1)
);

-- CreateTable
CREATE TABLE "configuration" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "version" BIGINT NOT NULL DEFAULT 1,
    "cluster_id" UUID NOT NULL,
    "active_provider_id" UUID,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "configuration_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "configuration_is_one_row" CHECK ("id" = 1)
);

-- CreateTable
CREATE TABLE "providers" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" "ProviderKind" NOT NULL,
    "base_url" TEXT,
    "is_enabled" BOOLEAN NOT NULL DEFAULT false,
    "priority" INTEGER NOT NULL DEFAULT 100,
    "timeout_ms" INTEGER NOT NULL DEFAULT 600000,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "providers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "provider_keys" (
    "id" UUID NOT NULL,
    "provider_id" UUID NOT NULL,
    "ciphertext" BYTEA NOT NULL,
    "master_key_version" INTEGER NOT NULL,
    "hint" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "provider_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "price_versions" (
    "id" TEXT NOT NULL,
    "components" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "price_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "models" (
    "id" UUID NOT NULL,
    "provider_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "price_version_id" TEXT,
    "context_tokens" INTEGER,
    "max_output_tokens" INTEGER,
    "is_enabled" BOOLEAN NOT NULL DEFAULT true,
    "position" INTEGER NOT NULL DEFAULT 100,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "models_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "routes" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "aliases" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "mode" "RouteMode" NOT NULL DEFAULT 'AUTO',
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "routes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "route_targets" (
    "id" UUID NOT NULL,
    "route_id" UUID NOT NULL,
    "provider_id" UUID NOT NULL,
    "models" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "priority" INTEGER NOT NULL DEFAULT 100,

    CONSTRAINT "route_targets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ledger_head" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "seq" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "ledger_head_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "ledger_head_is_one_row" CHECK ("id" = 1)
);

-- CreateTable
CREATE TABLE "ledger_positions" (
    "server_id" TEXT NOT NULL,
    "segment" BIGINT NOT NULL,
    "offset" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ledger_positions_pkey" PRIMARY KEY ("server_id")
);

-- CreateTable
CREATE TABLE "completions" (
    "id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "server_id" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3) NOT NULL,
    "status" "RequestStatus" NOT NULL,
    "door" TEXT NOT NULL,
    "is_streamed" BOOLEAN NOT NULL,
    "user_id" UUID,
    "api_key_id" UUID,
    "route_id" UUID,
    "route_slug" TEXT,
    "requested_model" TEXT,
    "provider_id" UUID,
    "provider_slug" TEXT,
    "model" TEXT,
    "finish_reason" TEXT,
    "error_code" TEXT,
    "error_message" TEXT,
    "input_tokens" INTEGER,
    "output_tokens" INTEGER,
    "cached_tokens" INTEGER,
    "reasoning_tokens" INTEGER,
    "is_estimated" BOOLEAN NOT NULL,
    "cost" BIGINT,
    "latency_ms" INTEGER NOT NULL,
    "time_to_first_token_ms" INTEGER,
    "attempt_count" INTEGER NOT NULL,
    "config_version" BIGINT NOT NULL,
    "tags" JSONB NOT NULL,
    "warnings" TEXT[] DEFAULT ARRAY[]::TEXT[],

    CONSTRAINT "completions_pkey" PRIMARY KEY ("id")
) PARTITION BY RANGE ("id");

-- Catches the rows of a month that has no partition of its own yet.
CREATE TABLE "completions_default" PARTITION OF "completions" DEFAULT;

-- CreateTable
CREATE TABLE "attempts" (
    "id" UUID NOT NULL,
    "completion_id" UUID NOT NULL,
    "number" INTEGER NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3) NOT NULL,
    "status" "RequestStatus" NOT NULL,
    "provider_id" UUID NOT NULL,
    "provider_slug" TEXT NOT NULL,
    "provider_key_id" UUID,
    "model" TEXT NOT NULL,
    "answered_model" TEXT,
    "upstream_status" INTEGER,
    "finish_reason" TEXT,
    "error_code" TEXT,
    "error_message" TEXT,
    "input_tokens" INTEGER,
    "output_tokens" INTEGER,
    "cached_tokens" INTEGER,
    "cache_write_tokens" INTEGER,
    "reasoning_tokens" INTEGER,
    "is_estimated" BOOLEAN NOT NULL,
    "price_version_id" TEXT,
    "cost" BIGINT,
    "max_liability" BIGINT,
    "latency_ms" INTEGER NOT NULL,
    "time_to_first_token_ms" INTEGER,

    CONSTRAINT "attempts_pkey" PRIMARY KEY ("id")
) PARTITION BY RANGE ("id");

-- Catches the rows of a month that has no partition of its own yet.
CREATE TABLE "attempts_default" PARTITION OF "attempts" DEFAULT;

-- CreateTable
CREATE TABLE "rollup_series" (
    "id" BIGSERIAL NOT NULL,
    "key" TEXT NOT NULL,
    "status" "RequestStatus" NOT NULL,
    "user_id" UUID,
    "api_key_id" UUID,
    "route_id" UUID,
    "provider_slug" TEXT,
    "model" TEXT,

    CONSTRAINT "rollup_series_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rollups" (
    "grain" "RollupGrain" NOT NULL,
    "bucket" TIMESTAMPTZ(0) NOT NULL,
    "series_id" BIGINT NOT NULL,
    "requests" BIGINT NOT NULL,
    "input_tokens" BIGINT NOT NULL,
    "output_tokens" BIGINT NOT NULL,
    "cached_tokens" BIGINT NOT NULL,
    "reasoning_tokens" BIGINT NOT NULL,
    "cost" DECIMAL(38,0) NOT NULL,
    "unpriced" BIGINT NOT NULL,
    "latency_ms" BIGINT NOT NULL,
    "time_to_first_token_ms" BIGINT NOT NULL,
    "timed_first_tokens" BIGINT NOT NULL,

    CONSTRAINT "rollups_pkey" PRIMARY KEY ("grain","bucket","series_id")
);

-- CreateTable
CREATE TABLE "rollup_latencies" (
    "grain" "RollupGrain" NOT NULL,
    "bucket" TIMESTAMPTZ(0) NOT NULL,
    "series_id" BIGINT NOT NULL,
    "slot" SMALLINT NOT NULL,
    "count" BIGINT NOT NULL,

    CONSTRAINT "rollup_latencies_pkey" PRIMARY KEY ("grain","bucket","series_id","slot")
);

-- CreateIndex
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

-- CreateIndex
CREATE INDEX "users_revision_idx" ON "users"("revision");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_hash_key" ON "api_keys"("hash");

-- CreateIndex
CREATE INDEX "api_keys_owner_id_id_idx" ON "api_keys"("owner_id", "id");

-- CreateIndex
CREATE INDEX "api_keys_revision_idx" ON "api_keys"("revision");

-- CreateIndex
CREATE UNIQUE INDEX "providers_slug_key" ON "providers"("slug");

-- CreateIndex
CREATE INDEX "providers_priority_slug_idx" ON "providers"("priority", "slug");

-- CreateIndex
CREATE INDEX "provider_keys_provider_id_id_idx" ON "provider_keys"("provider_id", "id");

-- CreateIndex
CREATE INDEX "models_price_version_id_idx" ON "models"("price_version_id");

-- CreateIndex
CREATE UNIQUE INDEX "models_provider_id_name_key" ON "models"("provider_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "routes_slug_key" ON "routes"("slug");

-- CreateIndex
CREATE INDEX "route_targets_route_id_idx" ON "route_targets"("route_id");

-- CreateIndex
CREATE INDEX "completions_seq_idx" ON "completions"("seq");

-- CreateIndex
CREATE INDEX "completions_user_id_id_idx" ON "completions"("user_id", "id");

-- CreateIndex
CREATE INDEX "completions_api_key_id_id_idx" ON "completions"("api_key_id", "id");

-- CreateIndex
CREATE INDEX "completions_provider_slug_id_idx" ON "completions"("provider_slug", "id");

-- CreateIndex
CREATE INDEX "completions_status_id_idx" ON "completions"("status", "id");

-- CreateIndex
CREATE INDEX "attempts_completion_id_idx" ON "attempts"("completion_id");

-- CreateIndex
CREATE UNIQUE INDEX "rollup_series_key_key" ON "rollup_series"("key");

-- CreateIndex
CREATE INDEX "rollup_series_user_id_idx" ON "rollup_series"("user_id");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "provider_keys" ADD CONSTRAINT "provider_keys_provider_id_fkey" FOREIGN KEY ("provider_id") REFERENCES "providers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "models" ADD CONSTRAINT "models_provider_id_fkey" FOREIGN KEY ("provider_id") REFERENCES "providers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "models" ADD CONSTRAINT "models_price_version_id_fkey" FOREIGN KEY ("price_version_id") REFERENCES "price_versions"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "route_targets" ADD CONSTRAINT "route_targets_route_id_fkey" FOREIGN KEY ("route_id") REFERENCES "routes"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The tables that hold one row.
INSERT INTO "accounts_head" ("id") VALUES (1);
INSERT INTO "configuration" ("id", "cluster_id") VALUES (1, gen_random_uuid());
INSERT INTO "ledger_head" ("id") VALUES (1);
