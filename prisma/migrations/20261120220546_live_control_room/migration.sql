-- CreateEnum
CREATE TYPE "ProviderStatus" AS ENUM ('ONLINE', 'DEGRADED', 'OFFLINE');

-- CreateEnum
CREATE TYPE "RouteStrategy" AS ENUM ('FAILOVER', 'ROUND_ROBIN', 'WEIGHTED');

-- CreateEnum
CREATE TYPE "BudgetScope" AS ENUM ('EVERYTHING', 'USER', 'API_KEY', 'ROUTE', 'PROVIDER');

-- CreateEnum
CREATE TYPE "BudgetPeriod" AS ENUM ('DAILY', 'WEEKLY', 'MONTHLY', 'QUARTERLY', 'YEARLY', 'TOTAL');

-- CreateEnum
CREATE TYPE "BudgetEnforcement" AS ENUM ('SOFT');

-- CreateEnum
CREATE TYPE "EventTopic" AS ENUM ('CONFIGURATION', 'PROVIDER_HEALTH', 'BUDGETS');

-- CreateEnum
CREATE TYPE "RollupSubject" AS ENUM ('COMPLETION', 'ATTEMPT');

-- AlterTable
ALTER TABLE "models" ADD COLUMN     "description" TEXT,
ADD COLUMN     "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
ADD COLUMN     "version" INTEGER NOT NULL DEFAULT 1;

-- AlterTable
ALTER TABLE "rollup_series" ADD COLUMN     "provider_id" UUID,
ADD COLUMN     "subject" "RollupSubject" NOT NULL DEFAULT 'COMPLETION';

-- AlterTable
ALTER TABLE "route_targets" ADD COLUMN     "metadata" JSONB NOT NULL DEFAULT '{}',
ADD COLUMN     "position" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "weight" INTEGER NOT NULL DEFAULT 1;

-- AlterTable
ALTER TABLE "routes" ADD COLUMN     "description" TEXT,
ADD COLUMN     "strategy" "RouteStrategy" NOT NULL DEFAULT 'FAILOVER',
ADD COLUMN     "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
ADD COLUMN     "version" INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE "provider_health" (
    "provider_id" UUID NOT NULL,
    "status" "ProviderStatus" NOT NULL,
    "checked_at" TIMESTAMPTZ(3) NOT NULL,
    "since" TIMESTAMPTZ(3) NOT NULL,
    "latency_ms" INTEGER,
    "upstream_status" INTEGER,
    "detail" TEXT,

    CONSTRAINT "provider_health_pkey" PRIMARY KEY ("provider_id")
);

-- CreateTable
CREATE TABLE "budgets" (
    "id" UUID NOT NULL,
    "name" TEXT,
    "scope" "BudgetScope" NOT NULL,
    "subject_id" TEXT NOT NULL DEFAULT '',
    "owner_id" UUID,
    "period" "BudgetPeriod" NOT NULL,
    "limit" DECIMAL(38,0) NOT NULL,
    "enforcement" "BudgetEnforcement" NOT NULL DEFAULT 'SOFT',
    "thresholds" INTEGER[],
    "seen_period" TIMESTAMPTZ(3),
    "seen_spent" DECIMAL(38,0) NOT NULL DEFAULT 0,
    "crossed_threshold" INTEGER NOT NULL DEFAULT 0,
    "version" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "budgets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "event_head" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "seq" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "event_head_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "events" (
    "seq" BIGINT NOT NULL,
    "topic" "EventTopic" NOT NULL,
    "payload" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "events_pkey" PRIMARY KEY ("seq")
);

-- CreateIndex
CREATE INDEX "budgets_owner_id_idx" ON "budgets"("owner_id");

-- CreateIndex
CREATE UNIQUE INDEX "budgets_scope_subject_id_period_key" ON "budgets"("scope", "subject_id", "period");

-- CreateIndex
CREATE INDEX "events_created_at_idx" ON "events"("created_at");

-- AddForeignKey
ALTER TABLE "provider_health" ADD CONSTRAINT "provider_health_provider_id_fkey" FOREIGN KEY ("provider_id") REFERENCES "providers"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The heads are rows that are there from the start.
INSERT INTO "event_head" ("id") VALUES (1);
