-- CreateEnum
CREATE TYPE "AllowanceKind" AS ENUM ('BUDGET', 'CREDITS');

-- CreateEnum
CREATE TYPE "CorrectionReason" AS ENUM ('REPRICED', 'RESOLVED');

-- AlterEnum
ALTER TYPE "BudgetEnforcement" ADD VALUE 'HARD';

-- AlterTable
ALTER TABLE "attempts" ADD COLUMN     "held" BIGINT;

-- AlterTable
ALTER TABLE "budgets" ADD COLUMN     "is_managed" BOOLEAN NOT NULL DEFAULT false,
ALTER COLUMN "enforcement" DROP DEFAULT;

-- AlterTable
ALTER TABLE "ledger_head" ADD COLUMN     "budgets_version" BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     "kept_from" TIMESTAMPTZ(3);

-- AlterTable
ALTER TABLE "rollups" ADD COLUMN     "timed_requests" BIGINT NOT NULL DEFAULT 0;

-- Without the ledger's head no server commits roll-ups meanwhile. So far every one of them had a latency.
SELECT "seq" FROM "ledger_head" WHERE "id" = 1 FOR UPDATE;
UPDATE "rollups" SET "timed_requests" = "requests";

-- CreateTable
CREATE TABLE "allowances" (
    "id" UUID NOT NULL,
    "kind" "AllowanceKind" NOT NULL,
    "budget_id" UUID,
    "user_id" UUID,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "ends_at" TIMESTAMPTZ(3),
    "limit" DECIMAL(38,0) NOT NULL,
    "settled" DECIMAL(38,0) NOT NULL DEFAULT 0,
    "leased" DECIMAL(38,0) NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "allowances_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "lease_holders" (
    "id" UUID NOT NULL,
    "server_id" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "renewed_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "lease_holders_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "leases" (
    "allowance_id" UUID NOT NULL,
    "holder_id" UUID NOT NULL,
    "amount" DECIMAL(38,0) NOT NULL,
    "recalled_at" TIMESTAMPTZ(3),

    CONSTRAINT "leases_pkey" PRIMARY KEY ("allowance_id","holder_id")
);

-- CreateTable
CREATE TABLE "write_offs" (
    "id" UUID NOT NULL,
    "allowance_id" UUID NOT NULL,
    "holder_id" UUID NOT NULL,
    "server_id" TEXT NOT NULL,
    "amount" DECIMAL(38,0) NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "write_offs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "credit_grants" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "amount" DECIMAL(38,0) NOT NULL,
    "note" TEXT,
    "granted_by" UUID,
    "key" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "credit_grants_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "usage_events" (
    "id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,
    "user_id" UUID NOT NULL,
    "api_key_id" UUID,
    "provider_id" UUID,
    "provider_slug" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "input_tokens" INTEGER NOT NULL,
    "output_tokens" INTEGER NOT NULL,
    "cached_tokens" INTEGER,
    "cache_write_tokens" INTEGER,
    "cache_write_1h_tokens" INTEGER,
    "reasoning_tokens" INTEGER,
    "cost" BIGINT,
    "cost_source" "CostSource",
    "price_version_id" TEXT,
    "latency_ms" INTEGER,
    "metadata" JSONB NOT NULL,
    "idempotency_key" TEXT,

    CONSTRAINT "usage_events_pkey" PRIMARY KEY ("id")
) PARTITION BY RANGE ("id");

-- Catches the rows of a month that has no partition of its own yet.
CREATE TABLE "usage_events_default" PARTITION OF "usage_events" DEFAULT;

-- CreateTable
CREATE TABLE "usage_keys" (
    "user_id" UUID NOT NULL,
    "key" TEXT NOT NULL,
    "event_id" UUID NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_keys_pkey" PRIMARY KEY ("user_id","key")
);

-- CreateTable
CREATE TABLE "corrections" (
    "id" UUID NOT NULL,
    "seq" BIGINT NOT NULL,
    "reason" "CorrectionReason" NOT NULL,
    "attempt_id" UUID,
    "completion_id" UUID,
    "usage_event_id" UUID,
    "input_tokens" INTEGER,
    "output_tokens" INTEGER,
    "cached_tokens" INTEGER,
    "cache_write_tokens" INTEGER,
    "cache_write_1h_tokens" INTEGER,
    "reasoning_tokens" INTEGER,
    "cost" BIGINT NOT NULL,
    "cost_source" "CostSource" NOT NULL,
    "price_version_id" TEXT,
    "difference" BIGINT NOT NULL,
    "was_unpriced" BOOLEAN NOT NULL,
    "note" TEXT,
    "corrected_by" UUID,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "corrections_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "claims" (
    "caller" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "completion_id" UUID NOT NULL,
    "server_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "claims_pkey" PRIMARY KEY ("caller","key")
);

-- CreateIndex
CREATE UNIQUE INDEX "allowances_budget_id_starts_at_key" ON "allowances"("budget_id", "starts_at");

-- CreateIndex
CREATE UNIQUE INDEX "allowances_user_id_key" ON "allowances"("user_id");

-- CreateIndex
CREATE INDEX "lease_holders_server_id_idx" ON "lease_holders"("server_id");

-- CreateIndex
CREATE INDEX "leases_holder_id_idx" ON "leases"("holder_id");

-- CreateIndex
CREATE INDEX "write_offs_allowance_id_idx" ON "write_offs"("allowance_id");

-- CreateIndex
CREATE INDEX "write_offs_holder_id_idx" ON "write_offs"("holder_id");

-- CreateIndex
CREATE INDEX "credit_grants_user_id_id_idx" ON "credit_grants"("user_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "credit_grants_user_id_key_key" ON "credit_grants"("user_id", "key");

-- CreateIndex
CREATE INDEX "usage_events_seq_idx" ON "usage_events"("seq");

-- CreateIndex
CREATE INDEX "usage_events_user_id_occurred_at_id_idx" ON "usage_events"("user_id", "occurred_at", "id");

-- CreateIndex
CREATE INDEX "usage_events_occurred_at_id_idx" ON "usage_events"("occurred_at", "id");

-- CreateIndex
CREATE INDEX "usage_events_metadata_idx" ON "usage_events" USING GIN ("metadata" jsonb_path_ops);

-- CreateIndex
CREATE INDEX "usage_keys_created_at_idx" ON "usage_keys"("created_at");

-- CreateIndex
CREATE INDEX "corrections_seq_idx" ON "corrections"("seq");

-- CreateIndex
CREATE INDEX "corrections_attempt_id_idx" ON "corrections"("attempt_id");

-- CreateIndex
CREATE INDEX "corrections_completion_id_idx" ON "corrections"("completion_id");

-- CreateIndex
CREATE INDEX "corrections_usage_event_id_idx" ON "corrections"("usage_event_id");

-- CreateIndex
CREATE INDEX "claims_expires_at_idx" ON "claims"("expires_at");

-- AddForeignKey
ALTER TABLE "allowances" ADD CONSTRAINT "allowances_budget_id_fkey" FOREIGN KEY ("budget_id") REFERENCES "budgets"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "leases" ADD CONSTRAINT "leases_allowance_id_fkey" FOREIGN KEY ("allowance_id") REFERENCES "allowances"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "leases" ADD CONSTRAINT "leases_holder_id_fkey" FOREIGN KEY ("holder_id") REFERENCES "lease_holders"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What is leased is money that somebody can spend; it is never owed.
ALTER TABLE "allowances" ADD CONSTRAINT "allowances_leased_check" CHECK ("leased" >= 0);
ALTER TABLE "allowances" ADD CONSTRAINT "allowances_limit_check" CHECK ("limit" >= 0 OR "kind" = 'CREDITS');
ALTER TABLE "leases" ADD CONSTRAINT "leases_amount_check" CHECK ("amount" >= 0);

-- Nothing is leased above the limit, whoever asks and however. Settling is not guarded: facts are never refused.
CREATE FUNCTION "guard_grant"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'allowance %: settled % + leased % would exceed the limit %', NEW."id", NEW."settled", NEW."leased", NEW."limit"
        USING ERRCODE = 'check_violation', CONSTRAINT = 'allowances_guard_grant';
END $$;

CREATE TRIGGER "allowances_guard_grant" BEFORE UPDATE ON "allowances" FOR EACH ROW
    WHEN (NEW."leased" > OLD."leased" AND NEW."settled" + NEW."leased" > NEW."limit") EXECUTE FUNCTION "guard_grant"();

CREATE TRIGGER "allowances_guard_first_grant" BEFORE INSERT ON "allowances" FOR EACH ROW
    WHEN (NEW."leased" > 0 AND NEW."settled" + NEW."leased" > NEW."limit") EXECUTE FUNCTION "guard_grant"();
