-- CreateEnum
CREATE TYPE "PowerLevel" AS ENUM ('ECO', 'BALANCED', 'PRECISION');

-- CreateEnum
CREATE TYPE "ModelStrategy" AS ENUM ('FAILOVER', 'ROUND_ROBIN', 'COST', 'LATENCY', 'BALANCED');

-- CreateEnum
CREATE TYPE "StickyKey" AS ENUM ('SESSION', 'USER', 'API_KEY');

-- CreateEnum
CREATE TYPE "RestartPolicy" AS ENUM ('NEVER', 'OTHER_TARGET');

-- CreateEnum
CREATE TYPE "RefusalPolicy" AS ENUM ('PROPAGATE', 'OTHER_TARGET');

-- CreateEnum
CREATE TYPE "ComparisonWinner" AS ENUM ('A', 'B', 'TIE');

-- CreateEnum
CREATE TYPE "ComparisonJudge" AS ENUM ('HUMAN', 'MODEL');

-- AlterEnum
ALTER TYPE "RouteMode" ADD VALUE 'MULTI';

-- AlterEnum
-- This migration adds more than one value to an enum.
-- With PostgreSQL versions 11 and earlier, this is not possible
-- in a single migration. This can be worked around by creating
-- multiple migrations, each migration adding only one value to
-- the enum.


ALTER TYPE "RouteStrategy" ADD VALUE 'COST';
ALTER TYPE "RouteStrategy" ADD VALUE 'LATENCY';
ALTER TYPE "RouteStrategy" ADD VALUE 'BALANCED';
ALTER TYPE "RouteStrategy" ADD VALUE 'CUSTOM';

-- AlterTable
ALTER TABLE "attempts" ADD COLUMN     "target_id" UUID;

-- AlterTable
ALTER TABLE "completions" ADD COLUMN     "decision" JSONB,
ADD COLUMN     "is_cached" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "target_id" UUID;

-- AlterTable
ALTER TABLE "models" ADD COLUMN     "quality" SMALLINT;

-- AlterTable
ALTER TABLE "providers" ADD COLUMN     "region" TEXT;

-- AlterTable
ALTER TABLE "rollup_series" ADD COLUMN     "target_id" UUID;

-- AlterTable
ALTER TABLE "route_targets" ADD COLUMN     "slots" INTEGER[] DEFAULT ARRAY[]::INTEGER[],
ADD COLUMN     "strategy" "ModelStrategy" NOT NULL DEFAULT 'FAILOVER';

-- AlterTable
ALTER TABLE "routes" ADD COLUMN     "allows_power_level" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "cache_ttl_seconds" INTEGER,
ADD COLUMN     "config" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN     "cost_weight" SMALLINT,
ADD COLUMN     "fallbacks" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "first_token_timeout_ms" INTEGER,
ADD COLUMN     "latency_weight" SMALLINT,
ADD COLUMN     "max_retries" SMALLINT NOT NULL DEFAULT 3,
ADD COLUMN     "preferred_regions" TEXT[] DEFAULT ARRAY[]::TEXT[],
ADD COLUMN     "quality_weight" SMALLINT,
ADD COLUMN     "refusal_policy" "RefusalPolicy" NOT NULL DEFAULT 'PROPAGATE',
ADD COLUMN     "restart_policy" "RestartPolicy" NOT NULL DEFAULT 'NEVER',
ADD COLUMN     "stall_timeout_ms" INTEGER,
ADD COLUMN     "sticky_by" "StickyKey",
ADD COLUMN     "total_timeout_ms" INTEGER;

-- AlterTable
ALTER TABLE "users" ADD COLUMN     "power_level" "PowerLevel" NOT NULL DEFAULT 'BALANCED',
ADD COLUMN     "preferences" JSONB NOT NULL DEFAULT '{}';

-- CreateTable
CREATE TABLE "route_versions" (
    "route_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "content" JSONB NOT NULL,
    "changed_by" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "route_versions_pkey" PRIMARY KEY ("route_id","version")
);

-- CreateTable
CREATE TABLE "comparisons" (
    "id" UUID NOT NULL,
    "route_id" UUID,
    "target_a_id" UUID,
    "target_b_id" UUID,
    "prompt" TEXT NOT NULL,
    "answer_a" TEXT NOT NULL,
    "answer_b" TEXT NOT NULL,
    "winner" "ComparisonWinner" NOT NULL,
    "judge" "ComparisonJudge" NOT NULL,
    "judge_name" TEXT,
    "score_a" DOUBLE PRECISION,
    "score_b" DOUBLE PRECISION,
    "notes" TEXT,
    "recorded_by" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "comparisons_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "routing_facts" (
    "id" TEXT NOT NULL,
    "content" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "routing_facts_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "comparisons_route_id_id_idx" ON "comparisons"("route_id", "id");

-- CreateIndex
CREATE INDEX "routing_facts_created_at_idx" ON "routing_facts"("created_at");

-- CreateIndex
CREATE INDEX "attempts_target_id_id_idx" ON "attempts"("target_id", "id");

-- CreateIndex
CREATE INDEX "rollup_series_target_id_idx" ON "rollup_series"("target_id");

-- AddForeignKey
ALTER TABLE "route_versions" ADD CONSTRAINT "route_versions_route_id_fkey" FOREIGN KEY ("route_id") REFERENCES "routes"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Routes from before have the version that they are at.
INSERT INTO "route_versions" ("route_id", "version", "content", "created_at")
SELECT r.id, r.version,
       jsonb_build_object(
         'id', r.id, 'slug', r.slug, 'name', r.name, 'aliases', COALESCE(r.aliases, '{}'), 'description', r.description,
         'mode', r.mode, 'strategy', r.strategy, 'isActive', r.is_active, 'costWeight', NULL, 'latencyWeight', NULL,
         'qualityWeight', NULL, 'allowsPowerLevel', false, 'stickyBy', NULL, 'maxRetries', 3, 'totalTimeoutMs', NULL,
         'firstTokenTimeoutMs', NULL, 'stallTimeoutMs', NULL, 'fallbacks', '[]'::jsonb, 'preferredRegions', '[]'::jsonb,
         'restartPolicy', 'NEVER', 'refusalPolicy', 'PROPAGATE', 'cacheTtlSeconds', NULL, 'config', '{}'::jsonb,
         'version', r.version,
         'targets', COALESCE((SELECT jsonb_agg(jsonb_build_object(
                                       'id', t.id, 'providerId', t.provider_id, 'models', COALESCE(t.models, '{}'),
                                       'priority', t.priority, 'weight', t.weight, 'strategy', 'FAILOVER',
                                       'slots', '[]'::jsonb, 'metadata', t.metadata, 'position', t.position)
                                     ORDER BY t.priority, t.position, t.id)
                                FROM "route_targets" t WHERE t.route_id = r.id), '[]'::jsonb)),
       r.updated_at
  FROM "routes" r;
